/* SPDX-License-Identifier: BSD-2-Clause */
/* The ten most frequent words of a tree of files: fairlead-words threads|processes FOLDER */
#include <fairlead.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
	char text[60]; /* a longer word counts in pieces */
	unsigned count;
};
static fl_bytes files; /* an array of fl_bytes: the paths */

static int add_file(const char *path, const struct stat *info, int type, struct FTW *at)
{
	fl_bytes copy = {0}, text = fl_bytes_of_text(path);
	return type == FTW_F && at->level > 0 && S_ISREG(info->st_mode) &&
	       (fl_bytes_ref(&copy, &text) != 0 || fl_bytes_append(&files, &copy, sizeof copy) != 0);
}
static int by_text(const void *a, const void *b)
{
	return strcmp(a, b); /* the first member */
}
static int by_count(const void *a, const void *b)
{
	return (int)((const struct word *)b)->count - (int)((const struct word *)a)->count;
}
static int add_up(fl_bytes *words) /* leaves each word once */
{
	struct word *all = words->data, *end = all;
	qsort(all, FL_BYTES_COUNT(struct word, *words), sizeof *all, by_text);
	FL_BYTES_EACH (struct word, w, *words)
		if (end > all && by_text(w, end - 1) == 0)
			end[-1].count += w->count;
		else
			*end++ = *w;
	return fl_bytes_resize(words, (size_t)(end - all) * sizeof *all);
}

FL_TASK(count, fl_bytes, fl_bytes) /* the path of a file; its words */
{
	struct word w = {.count = 1};
	FILE *file = fopen(arg->data, "r");
	int rc = file ? fl_bytes_alloc(result, 0, 1) : fl_task_fail(ctx, -errno, "cannot open %s", (char *)arg->data);
	while (rc == 0 && fscanf(file, "%59s", w.text) == 1)
		rc = fl_bytes_append(result, &w, sizeof w);
	return file && fclose(file) == 0 && rc == 0 ? add_up(result) : rc;
}

int main(int argc, char **argv)
{
	fl_process_main(argc, argv);
	FL_SCOPED(fl_executor) *pool = NULL;
	FL_SCOPED(fl_imap) *it = NULL;
	FL_SCOPED(fl_bytes) all = {0}, words = {0};
	if (argc != 3 || nftw(argv[2], add_file, 16, FTW_PHYS) || files.size == 0 || fl_bytes_alloc(&all, 0, 1))
		return 2;
	int rc = (*argv[1] == 't' ? fl_thread_executor_create : fl_process_executor_create)(&pool, NULL);
	if (rc == 0)
		rc = count_imap(pool, files.data, FL_BYTES_COUNT(fl_bytes, files), &it, &(fl_imap_config){.chunk = 16});
	for (; rc == 0 && (rc = count_imap_next(it, NULL, &words)) == 0; fl_bytes_free(&words))
		rc = fl_bytes_append(&all, words.data, words.size);
	if (rc != -ENODATA || (rc = add_up(&all)) != 0)
		return fl_perror(rc, "words");
	struct word *w = all.data;
	qsort(w, FL_BYTES_COUNT(struct word, all), sizeof *w, by_count);
	for (size_t i = 0; i < 10 && i < FL_BYTES_COUNT(struct word, all); i++)
		printf("%u %s\n", w[i].count, w[i].text);
}
