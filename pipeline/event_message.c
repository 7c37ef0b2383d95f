/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/event_message.h"

const struct conf_field event_message_fields[] = {
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct event_message, source),
	 .def = "message",
	 .doc = "Extracted value with the message."},
	{.key = "drop_invalid_labels",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct event_message, drop_invalid),
	 .doc = "Leave out keys that are no label names instead of replacing characters by \"_\"."},
	{.key = "overwrite_existing",
	 .kind = CONF_BOOL,
	 .off = offsetof(struct event_message, overwrite),
	 .doc = "Replace values of the same name instead of adding \"_extracted\" to the key."},
	{0},
};

bool event_message_cut(struct str *rest, struct str separator, struct str *head)
{
	ssize_t at = str_find(*rest, separator);
	*head = at < 0 ? *rest : str_sub(*rest, 0, (size_t)at);
	*rest = at < 0 ? STR("") : str_from(*rest, (size_t)at + separator.n);
	return at >= 0;
}

void event_message_plan(struct stage *s, struct reads *r)
{
	const struct event_message *c = s->conf;
	if (!r->all && !r->n) return;
	r->all |= !c->overwrite;
	reads_add(r, c->source);
}

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

void event_message_add(const struct event_message *c, struct batch *b, struct entry *e, struct str key,
		       struct str value, bool (*valid)(struct str name))
{
	struct value scratch;
	if (!valid(key)) {
		if (c->drop_invalid) return;
		key = sanitise(b->arena, key);
	}
	if (!c->overwrite && entry_get(e, key, &scratch)) key = arena_printf(b->arena, "%.*s_extracted", STR_ARG(key));
	if (str_utf8_valid(value)) stage_set(b, e, key, value);
}
