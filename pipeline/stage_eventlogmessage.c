/* SPDX-License-Identifier: GPL-2.0-or-later */
/* eventlogmessage: the "Key: value" lines of a Windows event's message become extracted values. */
#include "pipeline/stage.h"

struct conf {
	struct str source;
	bool drop_invalid, overwrite;
};

/* Every character that a label name may not have becomes "_". */
static struct str sanitise(struct arena *a, struct str key)
{
	if (!key.n) return STR("_");
	char *out = arena_alloc(a, key.n);
	size_t n = 0;
	for (size_t i = 0; i < key.n;) {
		size_t at = i;
		uint32_t c = str_rune(key, &i);
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
		out[n++] = letter || (c >= '0' && c <= '9' && at > 0) ? (char)c : '_';
	}
	return str_of(out, n);
}

static void add(const struct conf *c, struct batch *b, struct entry *e, struct str line)
{
	struct str key, value = line;
	struct value scratch;
	if (!str_cut(&value, ':', &key)) return;
	if (!labels_name_valid(key)) {
		if (c->drop_invalid) return;
		key = sanitise(b->arena, key);
	}
	if (!c->overwrite && entry_get(e, key, &scratch)) key = arena_printf(b->arena, "%.*s_extracted", STR_ARG(key));
	value = str_trim(value);
	if (str_utf8_valid(value)) stage_set(b, e, key, value);
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	for (size_t i = 0; i < b->n; i++) {
		struct str text;
		if (!stage_text(b, &b->v[i], c->source, &text)) continue;
		for (ssize_t at; (at = str_find(text, STR("\r\n"))) >= 0; text = str_from(text, (size_t)at + 2))
			add(c, b, &b->v[i], str_sub(text, 0, (size_t)at));
		add(c, b, &b->v[i], text);
	}
}

static const struct conf_field fields[] = {
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, source),
	 .def = "message",
	 .doc = "Extracted value with the message."},
	{.key = "drop_invalid_labels",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct conf, drop_invalid),
	 .doc = "Leave out keys that are no label names instead of replacing characters by \"_\"."},
	{.key = "overwrite_existing",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct conf, overwrite),
	 .doc = "Replace values of the same name instead of adding \"_extracted\" to the key."},
	{0},
};
static const struct conf_table table = {"eventlogmessage stage", sizeof(struct conf), fields,
					.lenient = true,         .any_case = true,    .typing = CONF_EXACT};

const struct stage_type stage_eventlogmessage = {
	.name = "eventlogmessage",
	.doc = "Extracts the key: value lines of a Windows event's message.",
	.conf = &table,
	.run = run,
	.simple = true,
};
