/* SPDX-License-Identifier: BSD-2-Clause */
/* Thumbnails: a PNG file is decoded, scaled down and encoded again. With libpng. */
#include "album.h"
#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#define PIXELS_MAX ((uint64_t)64 << 20) /* a picture that is larger gets no thumbnail */

static bool is_png(const struct bytes *file)
{
	return file->size >= 8 && png_sig_cmp(file->data, 0, 8) == 0;
}

static uint32_t at_least_one(uint64_t n)
{
	return n > 0 ? (uint32_t)n : 1;
}

/* The longer side becomes THUMBNAIL_SIDE, unless it is shorter already. */
static void scaled_size(const png_image *from, png_image *to)
{
	uint64_t width = from->width, height = from->height;
	uint64_t longer = width > height ? width : height;
	if (longer < THUMBNAIL_SIDE)
		longer = THUMBNAIL_SIDE;
	to->width = at_least_one(width * THUMBNAIL_SIDE / longer);
	to->height = at_least_one(height * THUMBNAIL_SIDE / longer);
}

/* The box filter: a pixel is the mean of those whose place it takes. */
static void mean_of_box(const png_image *from, const unsigned char *pixels, const uint32_t box[4], unsigned char *mean)
{
	const unsigned channels = PNG_IMAGE_PIXEL_CHANNELS(from->format);
	uint64_t sum[4] = {0};
	for (uint32_t y = box[1]; y < box[3]; y++) {
		const unsigned char *p = pixels + ((size_t)y * from->width + box[0]) * channels;
		for (uint32_t x = box[0]; x < box[2]; x++)
			for (unsigned c = 0; c < channels; c++)
				sum[c] += *p++;
	}
	uint64_t count = (uint64_t)(box[2] - box[0]) * (box[3] - box[1]);
	for (unsigned c = 0; c < channels; c++)
		/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): a thumbnail is no larger, so a box has a pixel */
		mean[c] = (unsigned char)((sum[c] + count / 2) / count);
}

static void scale(const png_image *from, const unsigned char *pixels, const png_image *to, unsigned char *scaled)
{
	for (uint32_t y = 0; y < to->height; y++) {
		for (uint32_t x = 0; x < to->width; x++, scaled += PNG_IMAGE_PIXEL_CHANNELS(to->format)) {
			uint32_t box[4] = {(uint32_t)((uint64_t)x * from->width / to->width),
			                   (uint32_t)((uint64_t)y * from->height / to->height),
			                   (uint32_t)((uint64_t)(x + 1) * from->width / to->width),
			                   (uint32_t)((uint64_t)(y + 1) * from->height / to->height)};
			mean_of_box(from, pixels, box, scaled);
		}
	}
}

/* Returns NULL, with the reason in `result`, when the bytes cannot be decoded. */
static unsigned char *decode(const struct bytes *file, png_image *image, struct thumbnail_result *result)
{
	if (png_image_begin_read_from_memory(image, file->data, file->size) == 0) {
		(void)snprintf(result->why, sizeof result->why, "cannot decode: %s", image->message);
		return NULL;
	}
	if ((uint64_t)image->width * image->height > PIXELS_MAX) {
		(void)snprintf(result->why, sizeof result->why, "%u x %u pixels are too many", image->width,
		               image->height);
		return NULL;
	}
	image->format = (image->format & PNG_FORMAT_FLAG_ALPHA) != 0 ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
	unsigned char *pixels = malloc(PNG_IMAGE_SIZE(*image));
	if (pixels == NULL) {
		(void)snprintf(result->why, sizeof result->why, "out of memory");
	} else if (png_image_finish_read(image, NULL, pixels, 0, NULL) == 0) {
		(void)snprintf(result->why, sizeof result->why, "cannot decode: %s", image->message);
		free(pixels);
		return NULL;
	}
	return pixels;
}

static void shrink(const png_image *image, const unsigned char *pixels, const char *path,
                   struct thumbnail_result *result)
{
	png_image small = {.version = PNG_IMAGE_VERSION, .format = image->format};
	scaled_size(image, &small);
	unsigned char *scaled = malloc(PNG_IMAGE_SIZE(small));
	if (scaled == NULL) {
		(void)snprintf(result->why, sizeof result->why, "out of memory");
		return;
	}
	scale(image, pixels, &small, scaled);
	result->made = png_image_write_to_file(&small, path, 0, scaled, 0, NULL) != 0;
	if (!result->made)
		(void)snprintf(result->why, sizeof result->why, "cannot write the thumbnail: %s", small.message);
	png_image_free(&small);
	free(scaled);
}

void thumbnail_make(const struct thumbnail_order *order, struct thumbnail_result *result)
{
	*result = (struct thumbnail_result){0};
	struct bytes file = {0};
	int rc = file_read(order->from, &file);
	if (rc != 0)
		(void)snprintf(result->why, sizeof result->why, "cannot read it back: %s", fl_error_text(rc));
	if (rc == 0 && is_png(&file)) {
		png_image image = {.version = PNG_IMAGE_VERSION};
		unsigned char *pixels = decode(&file, &image, result);
		if (pixels != NULL)
			shrink(&image, pixels, order->to, result);
		free(pixels);
		png_image_free(&image);
	}
	free(file.data);
}
