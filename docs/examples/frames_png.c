/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames as PNG files, with libpng. */
#include "frames.h"
#include <errno.h>
#include <png.h>
#include <stdlib.h>

#define SHRINK 8 /* how many times smaller a thumbnail is */
#define SMALL_WIDTH (FRAME_WIDTH / SHRINK)
#define SMALL_HEIGHT (FRAME_HEIGHT / SHRINK)

static png_image image_of(png_uint_32 width, png_uint_32 height)
{
	return (png_image){.version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = PNG_FORMAT_RGB};
}

int frame_save(const struct frame *f, const char *path)
{
	png_image image = image_of(FRAME_WIDTH, FRAME_HEIGHT);
	int rc = png_image_write_to_file(&image, path, 0, f->pixel, 0, NULL) != 0 ? 0 : -EIO;
	if (rc != 0)
		complain("cannot write '%s': %s", path, image.message);
	png_image_free(&image);
	return rc;
}

static unsigned char mean_of_box(const struct frame *f, int left, int top, int channel)
{
	unsigned sum = 0;
	for (int y = top; y < top + SHRINK; y++)
		for (int x = left; x < left + SHRINK; x++)
			sum += f->pixel[y][x][channel];
	return (unsigned char)(sum / (SHRINK * SHRINK));
}

int frame_thumbnail(const struct frame *f, struct bytes *png)
{
	png_image image = image_of(SMALL_WIDTH, SMALL_HEIGHT);
	png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
	unsigned char *pixels = malloc(PNG_IMAGE_SIZE(image)), *data = malloc(size), *p = pixels;
	int rc = pixels == NULL || data == NULL ? -ENOMEM : 0;
	for (int y = 0; rc == 0 && y < SMALL_HEIGHT; y++)
		for (int x = 0; x < SMALL_WIDTH; x++)
			for (int c = 0; c < 3; c++)
				*p++ = mean_of_box(f, x * SHRINK, y * SHRINK, c);
	if (rc == 0 && png_image_write_to_memory(&image, data, &size, 0, pixels, 0, NULL) == 0)
		rc = -EIO;
	png_image_free(&image);
	free(pixels);
	if (rc == 0)
		*png = (struct bytes){data, size};
	else
		free(data);
	return rc;
}
