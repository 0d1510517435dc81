/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This file has the pictures. They are painted and encoded for the server, and decoded and scaled
 * down for the thumbnails, by libpng.
 */
#include "album.h"
#include <errno.h>
#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 512
#define HEIGHT 384
#define HILLS 5
/* The noise of the film, which PNG cannot compress, and which sets the size of the files. */
#define GRAIN 7

struct color {
	float r, g, b;
};

static struct color mix(struct color a, struct color b, float t)
{
	return (struct color){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

/* A color of the wheel, `hue` in turns. */
static struct color color_of(float hue, float saturation, float value)
{
	float c[3];
	for (int i = 0; i < 3; i++) {
		float k = fmodf((float)(5 - 2 * i) + hue * 6, 6);
		c[i] = value * (1 - saturation * fmaxf(0, fminf(fminf(k, 4 - k), 1)));
	}
	return (struct color){c[0], c[1], c[2]};
}

static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static float random_between(uint32_t *state, float low, float high)
{
	return low + (high - low) * (float)(random_next(state) >> 8) / (float)(1 << 24);
}

/* A landscape has sky, sun, and rows of hills that get darker towards the front. */
struct scene {
	struct color high, low, near; /* of the sky; of the nearest hill */
	float sun_x, sun_y, sun_size;
	float outline[HILLS][WIDTH];
	uint32_t noise;
};

static void outline_draw(float *outline, int hill, uint32_t *random)
{
	float base = HEIGHT * (0.48f + 0.11f * (float)hill);
	float phase[3], wave[3];
	for (int i = 0; i < 3; i++) {
		phase[i] = random_between(random, 0, 6.28f);
		wave[i] = random_between(random, 0.004f, 0.009f) * (float)(1 + 2 * i);
	}
	for (int x = 0; x < WIDTH; x++)
		for (int i = 0; i < 3; i++)
			outline[x] = (i == 0 ? base : outline[x]) +
			             26.0f / (float)(1 + 2 * i) * sinf(phase[i] + wave[i] * (float)x);
}

static void scene_draw(struct scene *s, unsigned number)
{
	uint32_t random = number * 2654435761u + 1;
	float hue = fmodf((float)number * 0.618034f, 1);
	s->high = color_of(hue, 0.55f, 0.75f);
	s->low = color_of(fmodf(hue + 0.12f, 1), 0.25f, 0.98f);
	s->near = color_of(fmodf(hue + 0.55f, 1), 0.6f, 0.16f);
	for (int i = 0; i < 8; i++)
		(void)random_next(&random);
	s->sun_x = random_between(&random, 0.15f, 0.85f) * WIDTH;
	s->sun_y = random_between(&random, 0.15f, 0.42f) * HEIGHT;
	s->sun_size = random_between(&random, 22, 46);
	for (int hill = 0; hill < HILLS; hill++)
		outline_draw(s->outline[hill], hill, &random);
	s->noise = random;
}

static struct color scene_color(const struct scene *s, int x, int y)
{
	for (int hill = HILLS - 1; hill >= 0; hill--)
		if ((float)y > s->outline[hill][x])
			return mix(s->low, s->near, 0.25f + 0.75f * (float)hill / (HILLS - 1));
	struct color sky = mix(s->high, s->low, (float)y / (HEIGHT * 0.6f));
	float far = hypotf((float)x - s->sun_x, (float)y - s->sun_y) / s->sun_size;
	float glow = far < 1 ? 1 : 0.55f / (far * far);
	return mix(sky, (struct color){1, 0.97f, 0.88f}, glow);
}

static unsigned char shade(float value, unsigned noise)
{
	float v = value * 255 + (float)(noise % GRAIN) - GRAIN / 2;
	return (unsigned char)fmaxf(0, fminf(v, 255));
}

static unsigned char *scene_pixels(unsigned number)
{
	struct scene *s = malloc(sizeof *s);
	unsigned char *pixels = malloc((size_t)WIDTH * HEIGHT * 3), *p = pixels;
	if (s == NULL || pixels == NULL) {
		free(s);
		free(pixels);
		return NULL;
	}
	scene_draw(s, number);
	for (int y = 0; y < HEIGHT; y++) {
		for (int x = 0; x < WIDTH; x++, p += 3) {
			struct color c = scene_color(s, x, y);
			uint32_t noise = random_next(&s->noise);
			p[0] = shade(c.r, noise & 1023);
			p[1] = shade(c.g, noise >> 10 & 1023);
			p[2] = shade(c.b, noise >> 20 & 1023);
		}
	}
	free(s);
	return pixels;
}

int picture_paint(unsigned number, struct bytes *png)
{
	unsigned char *pixels = scene_pixels(number);
	if (pixels == NULL)
		return -ENOMEM;
	png_image image = {.version = PNG_IMAGE_VERSION,
	                   .width = WIDTH,
	                   .height = HEIGHT,
	                   .format = PNG_FORMAT_RGB,
	                   .flags = PNG_IMAGE_FLAG_FAST};
	png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
	unsigned char *data = malloc(size);
	int rc = data == NULL ? -ENOMEM : 0;
	if (rc == 0 && png_image_write_to_memory(&image, data, &size, 0, pixels, 0, NULL) == 0)
		rc = -EIO;
	png_image_free(&image);
	free(pixels);
	if (rc != 0) {
		free(data);
		return rc;
	}
	unsigned char *fitting = realloc(data, size);
	*png = (struct bytes){fitting != NULL ? fitting : data, size};
	return 0;
}
