/* SPDX-License-Identifier: BSD-2-Clause */
/* How frames are painted, and the filter. This file does not depend on tasks or shared memory. */
#include "frames.h"
#include <math.h>
#include <string.h>

#define BALLS 7
#define GRAIN 15 /* the noise of the film, which the filter smooths */
#define TILE 120

struct ball {
	int x, y, radius;
	unsigned char color[3];
};

static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Back and forth between 0 and `range`. */
static int bounce(int way, int range)
{
	way %= 2 * range;
	return way < range ? way : 2 * range - way;
}

static void place_balls(struct ball *balls, unsigned number)
{
	static const unsigned char colors[BALLS][3] = {{226, 78, 66},  {245, 178, 54},  {84, 168, 96}, {62, 128, 204},
	                                               {146, 96, 186}, {232, 130, 170}, {70, 178, 180}};
	for (int i = 0; i < BALLS; i++) {
		struct ball *b = &balls[i];
		b->radius = 70 + 23 * i;
		b->x = b->radius + bounce(i * 311 + (int)number * (17 + 5 * i), FRAME_WIDTH - 2 * b->radius);
		b->y = b->radius + bounce(i * 173 + (int)number * (31 - 3 * i), FRAME_HEIGHT - 2 * b->radius);
		memcpy(b->color, colors[i], sizeof b->color);
	}
}

/* The light at a point of a ball, from above and from the left; below 0 outside of the ball. */
static float light_on(const struct ball *b, int x, int y)
{
	float dx = (float)(x - b->x) / (float)b->radius, dy = (float)(y - b->y) / (float)b->radius;
	float rest = 1 - dx * dx - dy * dy;
	return rest < 0 ? -1 : 0.3f + 0.7f * fmaxf(0, sqrtf(rest) * 0.8f - dx * 0.35f - dy * 0.48f);
}

static void color_at(const struct ball *balls, int x, int y, float color[3])
{
	bool dark = (x / TILE + y / TILE) % 2 != 0;
	float floor = (dark ? 104.0f : 196.0f) + 40.0f * (float)y / FRAME_HEIGHT;
	for (int c = 0; c < 3; c++)
		color[c] = floor - (float)(c == 2 ? 26 : 0);
	for (int i = 0; i < BALLS; i++) {
		float light = light_on(&balls[i], x, y);
		for (int c = 0; light >= 0 && c < 3; c++)
			color[c] = light * (float)balls[i].color[c];
	}
}

void frame_paint(struct frame *f, unsigned number)
{
	struct ball balls[BALLS];
	place_balls(balls, number);
	uint32_t noise = number * 2654435761u + 1;
	for (int y = 0; y < FRAME_HEIGHT; y++) {
		for (int x = 0; x < FRAME_WIDTH; x++) {
			float color[3];
			color_at(balls, x, y, color);
			float grain = (float)(random_next(&noise) % GRAIN) - GRAIN / 2;
			for (int c = 0; c < 3; c++)
				f->pixel[y][x][c] = (unsigned char)fmaxf(0, fminf(color[c] + grain, 255));
		}
	}
}

/*
 * The filter. It goes down the frame with three smoothed rows, and draws a line where they differ.
 */

#define REACH 2  /* a smoothed pixel is the mean of a box of 5 by 5 pixels ... */
#define NEAR 24  /* ... that differ from it by at most this: noise is removed, edges stay */
#define SHADES 6 /* of 256 */
#define LINE 40  /* the least strength of an edge that is drawn */

enum { ROW = FRAME_WIDTH * 3 };

struct brush {
	uint16_t sums[ROW], counts[ROW]; /* of the row that is smoothed now */
	unsigned char color[3][FRAME_WIDTH][3];
	int gray[3][FRAME_WIDTH];
};

static int within(int n, int size)
{
	return n < 0 ? 0 : n < size ? n : size - 1;
}

/* Adds the bytes of `other`, a row moved by `shift`, where they are near those of `center`. */
static void add_near(struct brush *b, const unsigned char *center, const unsigned char *other, int shift)
{
	int from = shift < 0 ? -shift : 0, to = shift < 0 ? ROW : ROW - shift;
	for (int i = from; i < to; i++) {
		unsigned char c = center[i], o = other[i + shift];
		unsigned char away = (unsigned char)(c > o ? c - o : o - c);
		b->sums[i] = (uint16_t)(b->sums[i] + (away <= NEAR ? o : 0));
		b->counts[i] = (uint16_t)(b->counts[i] + (away <= NEAR));
	}
}

/* Smooths the colors and grays of row `y`. */
static void smooth_row(struct brush *b, const struct frame *f, int y)
{
	memset(b->sums, 0, sizeof b->sums);
	memset(b->counts, 0, sizeof b->counts);
	for (int dy = -REACH; dy <= REACH; dy++)
		for (int dx = -REACH; dx <= REACH; dx++)
			if (y + dy >= 0 && y + dy < FRAME_HEIGHT)
				add_near(b, f->pixel[y][0], f->pixel[y + dy][0], 3 * dx);
	unsigned char(*color)[3] = b->color[y % 3];
	for (int x = 0, i = 0; x < FRAME_WIDTH; x++) {
		for (int c = 0; c < 3; c++, i++)
			/* The count is never 0, since a pixel is near itself. */
			color[x][c] = (unsigned char)(b->sums[i] / b->counts[i]);
		b->gray[y % 3][x] = (color[x][0] * 2 + color[x][1] * 5 + color[x][2]) / 8;
	}
}

/* Sobel's operator: the difference of the grays around a pixel. */
static int edge_at(const int *above, const int *here, const int *below, int x)
{
	int l = within(x - 1, FRAME_WIDTH), r = within(x + 1, FRAME_WIDTH);
	int across = above[r] + 2 * here[r] + below[r] - above[l] - 2 * here[l] - below[l];
	int down = below[l] + 2 * below[x] + below[r] - above[l] - 2 * above[x] - above[r];
	return (across < 0 ? -across : across) + (down < 0 ? -down : down);
}

static void draw_row(const struct brush *b, int y, unsigned char (*to)[3])
{
	const int *above = b->gray[within(y - 1, FRAME_HEIGHT) % 3], *here = b->gray[y % 3];
	const int *below = b->gray[within(y + 1, FRAME_HEIGHT) % 3];
	unsigned char(*color)[3] = (unsigned char(*)[3])b->color[y % 3];
	for (int x = 0; x < FRAME_WIDTH; x++) {
		int ink = edge_at(above, here, below, x) - LINE;
		ink = ink < 0 ? 0 : ink < 85 ? ink * 3 : 255;
		for (int c = 0; c < 3; c++) {
			int flat = (color[x][c] * SHADES / 256) * 255 / (SHADES - 1);
			to[x][c] = (unsigned char)(flat * (255 - ink) / 255);
		}
	}
}

void frame_ink(const struct frame *from, struct frame *to)
{
	struct brush b;
	for (int y = 0; y <= FRAME_HEIGHT; y++) {
		if (y < FRAME_HEIGHT)
			smooth_row(&b, from, y);
		if (y > 0)
			draw_row(&b, y - 1, to->pixel[y - 1]);
	}
}

uint64_t frame_digest(const struct frame *f)
{
	const unsigned char *bytes = &f->pixel[0][0][0];
	uint64_t digest = UINT64_C(0xcbf29ce484222325), word;
	_Static_assert(sizeof *f % sizeof word == 0, "no bytes are left over");
	for (size_t i = 0; i < sizeof *f; i += sizeof word) {
		memcpy(&word, bytes + i, sizeof word);
		digest = (digest ^ word) * UINT64_C(0x100000001b3);
	}
	return digest;
}
