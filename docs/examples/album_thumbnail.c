/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This file makes thumbnails: libpng decodes a PNG file, and encodes it again when it is scaled
 * down.
 */
#include "album.h"
#include <png.h>
#include <stdlib.h>

#define PIXELS_MAX ((uint64_t)64 << 20) /* a picture that is larger gets no thumbnail */

static bool is_png(const struct bytes *file)
{
	return file->size >= 8 && png_sig_cmp(file->data, 0, 8) == 0;
}

static uint32_t at_least_one(uint64_t n)
{
	return n > 0 ? (uint32_t)n : 1;
}

/* The longer side becomes THUMBNAIL_SIDE, unless the picture is smaller. */
static void scaled_size(const struct raster *from, struct raster *to)
{
	uint64_t width = from->width, height = from->height;
	uint64_t longer = width > height ? width : height;
	if (longer < THUMBNAIL_SIDE)
		longer = THUMBNAIL_SIDE;
	to->width = at_least_one(width * THUMBNAIL_SIDE / longer);
	to->height = at_least_one(height * THUMBNAIL_SIDE / longer);
}

/* This is the box filter: a pixel becomes the mean of the pixels that it replaces. */
static void mean_of_box(const struct raster *from, const uint32_t box[4], unsigned char *mean)
{
	const unsigned channels = from->channels;
	uint64_t sum[4] = {0};
	for (uint32_t y = box[1]; y < box[3]; y++) {
		const unsigned char *p = from->pixels + ((size_t)y * from->width + box[0]) * channels;
		for (uint32_t x = box[0]; x < box[2]; x++)
			for (unsigned c = 0; c < channels; c++)
				sum[c] += *p++;
	}
	uint64_t count = (uint64_t)(box[2] - box[0]) * (box[3] - box[1]);
	/* A thumbnail is no larger than its picture, so each box has at least one pixel. */
	for (unsigned c = 0; c < channels; c++)
		/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
		mean[c] = (unsigned char)((sum[c] + count / 2) / count);
}

bool raster_shrink(const struct raster *from, struct raster *to, char *why, size_t size)
{
	*to = (struct raster){.channels = from->channels};
	scaled_size(from, to);
	to->pixels = malloc((size_t)to->width * to->height * to->channels);
	if (to->pixels == NULL) {
		(void)snprintf(why, size, "out of memory");
		return false;
	}
	unsigned char *pixel = to->pixels;
	for (uint32_t y = 0; y < to->height; y++) {
		for (uint32_t x = 0; x < to->width; x++, pixel += to->channels) {
			uint32_t box[4] = {(uint32_t)((uint64_t)x * from->width / to->width),
			                   (uint32_t)((uint64_t)y * from->height / to->height),
			                   (uint32_t)((uint64_t)(x + 1) * from->width / to->width),
			                   (uint32_t)((uint64_t)(y + 1) * from->height / to->height)};
			mean_of_box(from, box, pixel);
		}
	}
	return true;
}

bool raster_decode(struct raster *r, const struct bytes *file, char *why, size_t size)
{
	png_image image = {.version = PNG_IMAGE_VERSION};
	*r = (struct raster){0};
	if (png_image_begin_read_from_memory(&image, file->data, file->size) == 0) {
		(void)snprintf(why, size, "cannot decode: %s", image.message);
		return false;
	}
	if ((uint64_t)image.width * image.height > PIXELS_MAX) {
		(void)snprintf(why, size, "%u x %u pixels are too many", image.width, image.height);
		png_image_free(&image);
		return false;
	}
	image.format = (image.format & PNG_FORMAT_FLAG_ALPHA) != 0 ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
	unsigned char *pixels = malloc(PNG_IMAGE_SIZE(image));
	bool good = pixels != NULL && png_image_finish_read(&image, NULL, pixels, 0, NULL) != 0;
	if (good)
		*r = (struct raster){image.width, image.height, PNG_IMAGE_PIXEL_CHANNELS(image.format), pixels};
	else if (pixels == NULL)
		(void)snprintf(why, size, "out of memory");
	else
		(void)snprintf(why, size, "cannot decode: %s", image.message);
	if (!good)
		free(pixels);
	png_image_free(&image);
	return good;
}

bool raster_write(const struct raster *r, const char *path, char *why, size_t size)
{
	png_image image = {.version = PNG_IMAGE_VERSION,
	                   .width = r->width,
	                   .height = r->height,
	                   .format = r->channels == 4 ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB};
	bool good = png_image_write_to_file(&image, path, 0, r->pixels, 0, NULL) != 0;
	if (!good)
		(void)snprintf(why, size, "cannot write the file: %s", image.message);
	png_image_free(&image);
	return good;
}

void thumbnail_make(const struct thumbnail_order *order, struct thumbnail_result *result)
{
	*result = (struct thumbnail_result){0};
	const size_t size = sizeof result->why;
	struct bytes file = {0};
	int rc = file_read(order->from, &file);
	if (rc != 0)
		(void)snprintf(result->why, size, "cannot read it back: %s", fl_error_text(rc));
	if (rc == 0 && is_png(&file)) {
		struct raster picture = {0}, small = {0};
		result->made = raster_decode(&picture, &file, result->why, size) &&
		               raster_shrink(&picture, &small, result->why, size) &&
		               raster_write(&small, order->to, result->why, size);
		free(small.pixels);
		free(picture.pixels);
	}
	free(file.data);
}
