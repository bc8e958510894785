/* SPDX-License-Identifier: Apache-2.0 */
/* The one file of the engine in C++. No exception leaves it. */
#include "gen/toml.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

/* What the parser takes for granted, and text that is not TOML may break, is an error like others.
 */
[[noreturn]] static void refuse()
{
	throw std::runtime_error("not TOML; check brackets, quotes and commas");
}
#undef NDEBUG
#define TOML_ASSERT(true_of_toml)                                                                  \
	do {                                                                                       \
		if (!(true_of_toml))                                                               \
			refuse();                                                                  \
	} while (false)
#include <toml++/toml.h>

namespace
{

/* In keys of a line: far more than a stream file has use for. */
constexpr unsigned MAX_DOTS = 16;

/* NULL for a value that JSON has not. */
json_t *json_of(const toml::node &node)
{
	if (const toml::table *table = node.as_table()) {
		json_t *object = json_object();

		for (const auto &[key, value] : *table) {
			json_t *member = json_of(value);

			if (member == nullptr ||
			    json_object_set_new(object, std::string(key.str()).c_str(), member) !=
				    0) {
				json_decref(object);
				return nullptr;
			}
		}
		return object;
	}
	if (const toml::array *list = node.as_array()) {
		json_t *array = json_array();

		for (const toml::node &value : *list) {
			if (json_array_append_new(array, json_of(value)) != 0) {
				json_decref(array);
				return nullptr;
			}
		}
		return array;
	}
	if (const auto *text = node.as_string())
		return json_stringn(text->get().data(), text->get().size());
	if (const auto *number = node.as_integer())
		return json_integer(number->get());
	if (const auto *number = node.as_floating_point())
		return json_real(number->get());
	if (const auto *boolean = node.as_boolean())
		return json_boolean(boolean->get());
	return nullptr;
}

/*
 * TOML has no control characters but tabs and ends of lines, in comments neither; the parser
 * stumbles over some.
 */
bool has_control_character(std::string_view text)
{
	for (const char c : text) {
		const auto code = static_cast<unsigned char>(c);

		if ((code < ' ' && c != '\t' && c != '\n' && c != '\r') || code == 0x7f)
			return true;
	}
	return false;
}

/* Behind the string that begins at `at`; a string of one line ends with it in any case. */
size_t skip_string(std::string_view text, size_t at)
{
	const char quote = text[at];
	const bool is_long = text.substr(at, 3) == std::string(3, quote);
	const std::string end(is_long ? 3 : 1, quote);

	for (at += end.size(); at < text.size(); at++) {
		if (text.substr(at, end.size()) == end)
			return at + end.size();
		if (text[at] == '\n' && !is_long)
			return at;
		if (text[at] == '\\' && quote == '"')
			at++;
	}
	return text.size();
}

/*
 * The parser bounds how deep values are nested, but not dotted keys: each dot is a table in a
 * table, and to free them takes a call within a call.
 */
bool has_deep_key(std::string_view text)
{
	unsigned dots = 0;

	for (size_t at = 0; at < text.size();) {
		const char c = text[at];

		if (c == '"' || c == '\'') {
			at = skip_string(text, at);
			continue;
		}
		if (c == '#')
			at = std::min(text.find('\n', at), text.size() - 1);
		if (text[at] == '\n')
			dots = 0;
		if (c == '.' && ++dots > MAX_DOTS)
			return true;
		at++;
	}
	return false;
}

} // namespace

extern "C" int ft_toml_parse(const char *text, size_t bytes, const char *name, json_t **root,
			     struct ft_error *error)
{
	if (has_control_character(std::string_view(text, bytes)))
		return ft_fail(error, -EINVAL, "%s: a control character; a TOML file is plain text",
			       name);
	if (has_deep_key(std::string_view(text, bytes)))
		return ft_fail(error, -EINVAL, "%s: a line with more than %u dots outside quotes",
			       name, MAX_DOTS);
	try {
		*root = json_of(toml::parse(std::string_view(text, bytes)));
	} catch (const toml::parse_error &wrong) {
		const toml::source_position at = wrong.source().begin;

		return ft_fail(error, -EINVAL, "%s: line %u, column %u: %s", name,
			       static_cast<unsigned>(at.line), static_cast<unsigned>(at.column),
			       std::string(wrong.description()).c_str());
	} catch (const std::exception &wrong) {
		return ft_fail(error, -EINVAL, "%s: %s", name, wrong.what());
	}
	if (*root == nullptr)
		return ft_fail(error, -EINVAL,
			       "%s: a date, a time, a number that is not finite or a key with a "
			       "NUL; nothing here is one",
			       name);
	return 0;
}
