/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/latency.h"

static json_t *integer(uint64_t value)
{
	return json_integer((json_int_t)value);
}

json_t *ft_latency_describe(const struct ft_latency *latency, const char *source)
{
	const struct ft_histogram *histogram = &latency->histogram;
	uint64_t samples = ft_count_read(&histogram->samples);
	uint64_t min = ft_count_read(&histogram->min);
	uint64_t p999 = ft_histogram_quantile(histogram, 0.999);
	uint64_t variations = ft_count_read(&latency->variations);
	json_t *object;

	if (samples == 0)
		return json_null();
	object = json_object();
	json_object_set_new(object, "samples", integer(samples));
	json_object_set_new(object, "min", integer(min));
	json_object_set_new(object, "p50", integer(ft_histogram_quantile(histogram, 0.5)));
	json_object_set_new(object, "p99", integer(ft_histogram_quantile(histogram, 0.99)));
	json_object_set_new(object, "p999", integer(p999));
	json_object_set_new(object, "max", integer(ft_count_read(&histogram->max)));
	json_object_set_new(object, "mean", json_real(ft_histogram_mean(histogram)));
	json_object_set_new(object, "jitter_ns",
			    variations == 0
				    ? json_null()
				    : integer(ft_count_read(&latency->variation_sum) / variations));
	json_object_set_new(object, "pdv_ns", integer(p999 - min));
	json_object_set_new(object, "negative", integer(ft_count_read(&latency->negative)));
	json_object_set_new(object, "beyond", integer(ft_count_read(&histogram->beyond)));
	json_object_set_new(object, "source", json_string(source));
	return object;
}
