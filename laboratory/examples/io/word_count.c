/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. Two threads count the words of a file, each with its own stream. Then main writes
 * the sum to another file, and reads it back. No execution finds the file that an earlier execution
 * wrote.
 */
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int counts[2];

static void *count(void *arg)
{
	const int self = *(int *)arg;
	char line[200];
	FILE *file = fopen("/etc/passwd", "r");
	assert(file);
	for (int i = 0; fgets(line, sizeof line, file); i++)
		counts[self] += i % 2 == self && strchr(line, ':') != NULL;
	assert(feof(file) && fclose(file) == 0);
	return NULL;
}

int main(void)
{
	static int numbers[] = {0, 1};
	pthread_t threads[2];
	int sum = 0;
	struct stat status;
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, count, &numbers[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert(open("no-such-file.txt", O_RDONLY) == -1);
	FILE *file = fopen("no-such-file.txt", "w");
	assert(file && fprintf(file, "%d words\n", counts[0] + counts[1]) > 0 && fclose(file) == 0);
	const int again = open("no-such-file.txt", O_RDWR);
	char text[32] = "";
	assert(again >= 0 && fstat(again, &status) == 0 && status.st_size > 7);
	assert(read(again, text, sizeof text - 1) == status.st_size && sscanf(text, "%d words", &sum) == 1);
	assert(sum == counts[0] + counts[1] && sum > 0);
	assert(lseek(again, 0, SEEK_SET) == 0 && write(again, "x", 1) == 1 && close(again) == 0);
	return 0;
}
