/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mandelbrot: the set, computed on all CPUs and saved as a PNG file.
 *
 * One call of fl_parallel_for does the rows. Some rows take thirty times as long as others, but the
 * program does not say how to divide them: an idle worker takes over half of the rows that another
 * one has left.
 *
 * A task of a group calls the loop. So the main thread can move the progress bar and check for
 * Ctrl-C while it waits. Ctrl-C cancels the group, and through the cancel scope the rows. The scope
 * of the group ends after all rows have ended, so no row is drawn into freed memory.
 */
#include "album.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>

#define SAMPLES 2 /* samples of a pixel, in each direction */
/* A point that came so far does not come back; a larger limit gives smoother colors. */
#define FAR 256.0
/* The colors repeat when the escape time has grown by a factor of e to this power. */
#define PALETTE_SIZE 5.0

struct picture {
	const struct options *o;
	struct raster raster;
	int64_t *took; /* by row */
	fl_mutex lock; /* of `rows` */
	size_t rows;   /* drawn rows */
	struct progress progress;
};

/*
 * How long the point takes to escape, with a fraction, so that colors have no edges; negative: it
 * stays.
 */
static double escape_time(double re, double im, unsigned iterations)
{
	double x = 0, y = 0;
	for (unsigned n = 0; n < iterations; n++) {
		double xx = x * x, yy = y * y;
		if (xx + yy > FAR * FAR)
			return fmax(0, n + 1 - log2(log2(xx + yy) / 2));
		y = 2 * x * y + im;
		x = xx - yy + re;
	}
	return -1;
}

/* From dark blue over white and orange to black, and around again. */
static void add_color(double time, double rgb[3])
{
	static const double stops[][4] = {{0, 0, 7, 100},        {0.16, 32, 107, 203}, {0.42, 237, 255, 255},
	                                  {0.6425, 255, 170, 0}, {0.8575, 0, 2, 0},    {1, 0, 7, 100}};
	if (time < 0)
		return; /* black */
	double at = log(time + 1) / PALETTE_SIZE, i = floor(at);
	at -= i;
	size_t s = 1;
	while (stops[s][0] < at)
		s++;
	double part = (at - stops[s - 1][0]) / (stops[s][0] - stops[s - 1][0]);
	for (int c = 0; c < 3; c++)
		rgb[c] += stops[s - 1][c + 1] + part * (stops[s][c + 1] - stops[s - 1][c + 1]);
}

static void draw_pixel(const struct picture *p, size_t x, size_t y, unsigned char *pixel)
{
	const struct options *o = p->o;
	/* Shows the whole set. */
	const double step = fmax(3.5 / o->width, 2.6 / o->height) / o->zoom / SAMPLES;
	const double left = o->re - step * o->width * SAMPLES / 2, top = o->im + step * o->height * SAMPLES / 2;
	double rgb[3] = {0};
	for (size_t i = 0; i < SAMPLES; i++)
		for (size_t k = 0; k < SAMPLES; k++)
			add_color(escape_time(left + step * ((double)(x * SAMPLES + i) + 0.5),
			                      top - step * ((double)(y * SAMPLES + k) + 0.5), o->iterations),
			          rgb);
	for (int c = 0; c < 3; c++)
		pixel[c] = (unsigned char)lround(rgb[c] / (SAMPLES * SAMPLES));
}

/* Draws a row; returns false if it was asked to stop, which it checks at each pixel. */
static bool draw_row(struct picture *p, size_t y)
{
	const fl_time start = fl_now();
	for (size_t x = 0; x < p->raster.width; x++) {
		/* The scope of this call, below that of the group. */
		if (fl_cancel_token_is_requested(NULL))
			return false;
		draw_pixel(p, x, y, p->raster.pixels + (y * p->raster.width + x) * 3);
	}
	p->took[y] = fl_time_diff(fl_now(), start); /* only this call uses this row */
	return true;
}

/* The function of the loop, called on any worker: some rows, as many as the loop has chosen. */
static int draw_rows(void *picture, size_t from, size_t to)
{
	struct picture *p = picture;
	for (size_t y = from; y < to; y++) {
		if (!draw_row(p, y))
			return -ECANCELED;
		FL_LOCKED(&p->lock);
		p->rows++;
	}
	return 0;
}

FL_TASK_STATIC(draw_all, struct picture *, void)
{
	struct picture *p = *arg;
	int error = 0;
	int rc = fl_parallel_for(fl_executor_current(), 0, p->raster.height, draw_rows, p,
	                         &(fl_parallel_config){.cancel = fl_task_token(ctx), .error = &error});
	return rc == FL_ETASK ? error : rc;
}

static void show_rows(void *picture)
{
	struct picture *p = picture;
	size_t rows;
	{
		FL_LOCKED(&p->lock);
		rows = p->rows;
	}
	progress_to(&p->progress, rows);
}

static int draw(struct picture *p, unsigned workers, fl_signals *signals)
{
	FL_SCOPED(fl_executor) *pool = NULL;
	int rc = fl_thread_executor_create(&pool, &(fl_executor_config){.workers = workers, .name = "mandelbrot"});
	if (rc == 0) {
		FL_SCOPED(fl_group) g = FL_GROUP_INIT(pool); /* joined when the scope ends */
		progress_begin(&p->progress, p->raster.height, "mandelbrot, rows");
		rc = draw_all_group_submit(&g, p);
		if (rc == 0)
			return watch_group("mandelbrot", &g, signals, show_rows, p); /* joins it */
	}
	complain("mandelbrot: cannot begin: %s", fl_error_text(rc));
	return rc;
}

static void print_times(const struct picture *p, unsigned workers, int64_t took)
{
	int64_t least = INT64_MAX, most = 0, all = 0;
	for (size_t y = 0; y < p->raster.height; y++) {
		least = p->took[y] < least ? p->took[y] : least;
		most = p->took[y] > most ? p->took[y] : most;
		all += p->took[y];
	}
	printf("%u x %u pixels in %.2f s on %u worker%s, %.2f rows at a time\n", p->raster.width, p->raster.height,
	       (double)took / 1e9, workers, workers == 1 ? "" : "s", (double)all / (double)took);
	printf("a row took from %.3f ms to %.3f ms\n", (double)least / 1e6, (double)most / 1e6);
}

static bool save(const struct picture *p, const struct folder *d)
{
	char path[PATH_BYTES], why[FL_MESSAGE_MAX] = "";
	(void)snprintf(path, sizeof path, "%s/mandelbrot.png", d->path);
	if (!raster_write(&p->raster, path, why, sizeof why)) {
		complain("%s: %s", path, why);
		return false;
	}
	uint64_t answer = digest_add(DIGEST_START, p->raster.pixels, (size_t)p->raster.width * p->raster.height * 3);
	printf("%s, answer %016llx\n", path, (unsigned long long)answer);
	return true;
}

static bool draw_and_save(const struct options *o, const struct folder *d, fl_signals *signals)
{
	struct picture p = {.o = o, .raster = {o->width, o->height, 3, NULL}};
	const unsigned workers = o->workers != 0 ? o->workers : fl_cpu_count();
	p.raster.pixels = malloc((size_t)o->width * o->height * 3);
	p.took = calloc(o->height, sizeof *p.took);
	bool good = p.raster.pixels != NULL && p.took != NULL;
	if (!good)
		complain("mandelbrot: no memory for %u x %u pixels", o->width, o->height);
	fl_time start = fl_now();
	if (good && (good = draw(&p, workers, signals) == 0)) {
		print_times(&p, workers, fl_time_diff(fl_now(), start));
		good = save(&p, d);
	}
	free(p.took);
	free(p.raster.pixels);
	return good;
}

int mandelbrot(const struct options *o)
{
	static const int ends[] = {SIGINT, SIGTERM};
	struct options here = *o;
	struct folder folder;
	if (here.output == NULL)
		here.output = ".";
	if (!folder_open(&folder, &here)) /* fails before the drawing, not after it */
		return EXIT_FAILURE;
	fl_signals *signals = NULL;
	int rc = fl_signals_create(&signals, ends, 2); /* before the first thread */
	if (rc != 0) {
		complain("mandelbrot: cannot begin: %s", fl_error_text(rc));
		return EXIT_FAILURE;
	}
	const bool good = draw_and_save(o, &folder, signals);
	end_signals(signals);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
