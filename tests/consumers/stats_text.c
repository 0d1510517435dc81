/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes the statistics of three executors, two of one name, as a text for Prometheus. */
#include <fairlead.h>
#include <stdio.h>

FL_TASK(nothing, void, void)
{
	(void)ctx;
	return 0;
}

int main(void)
{
	const char *names[] = {"same", "same", "\"quoted\" \\ \n"};
	fl_executor *e[3];
	fl_bytes text = {0};
	int rc = 0;
	for (int i = 0; i < 3 && rc == 0; i++) {
		rc = fl_thread_executor_create(&e[i], &(fl_executor_config){.name = names[i], .workers = 1});
		for (int n = 0; n <= i / 2 && rc == 0; n++)
			rc = nothing_submit(e[i], NULL);
		if (rc == 0)
			rc = fl_executor_join(e[i]);
	}
	if (rc != 0 || fl_stats_text(&text) != 0)
		return 1;
	(void)fwrite(text.data, 1, text.size, stdout);
	fl_bytes_free(&text);
	for (int i = 0; i < 3; i++)
		fl_executor_free(e[i]);
	return 0;
}
