/* SPDX-License-Identifier: GPL-2.0-or-later */
/* windowsevent: the parts of a Windows event's message become extracted values. Of Alloy. Sections are separated by
 * empty lines. The first one is the description; the others have lines "Key: value", where a value may go on in lines
 * without a colon. A first line that is only a key is the section's title, which goes in front of its keys. */
#include "pipeline/event_message.h"

struct state {
	struct buf key, value;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct event_message *c = s->conf;
	if (!c->source.n) return stage_refuse(body, "source", e, "source must not be empty; the default is message");
	s->state = ARENA_NEW(s->arena, struct state);
	return true;
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	buf_free(&st->key);
	buf_free(&st->value);
}

static void add_without(struct buf *out, struct str s, const char *left_out)
{
	for (size_t i = 0; i < s.n; i++)
		if (!s.p[i] || !strchr(left_out, s.p[i])) buf_ch(out, s.p[i]);
}

/* What is in the buffers. */
static void add(struct stage *s, struct batch *b, struct entry *e)
{
	const struct state *st = s->state;
	struct str key = arena_str(b->arena, buf_view(&st->key));
	event_message_add(s->conf, b, e, key, arena_str(b->arena, str_trim(buf_view(&st->value))), stage_name_valid);
}

static void add_description(struct stage *s, struct batch *b, struct entry *e, struct str text)
{
	struct state *st = s->state;
	buf_clear(&st->key);
	buf_clear(&st->value);
	buf_c(&st->key, "Description");
	add_without(&st->value, text, "\t\r\n");
	add(s, b, e);
}

/* The lines behind a value that go on with it: neither empty nor with a key. */
static void add_more(struct buf *value, struct str *rest)
{
	for (struct str next = *rest, line; next.n; *rest = next) {
		event_message_cut(&next, STR("\r\n"), &line);
		if (!line.n || str_chr(line, ':') >= 0) return;
		buf_ch(value, ',');
		add_without(value, line, "\t\r\n");
	}
}

static void add_section(struct stage *s, struct batch *b, struct entry *e, struct str rest)
{
	struct state *st = s->state;
	struct str title = STR(""), line, key;
	for (bool first = true; rest.n; first = false) {
		event_message_cut(&rest, STR("\r\n"), &line);
		if (!str_cut(&line, ':', &key)) continue;
		if (!line.n) {
			if (first) title = key;
			continue;
		}
		buf_clear(&st->key);
		buf_clear(&st->value);
		add_without(&st->key, title, "\t\r\n ");
		if (title.n) buf_ch(&st->key, '_');
		add_without(&st->key, key, "\t\r\n ");
		add_without(&st->value, line, "\t\r\n");
		add_more(&st->value, &rest);
		add(s, b, e);
	}
}

static void run(struct stage *s, struct batch *b)
{
	const struct event_message *c = s->conf;
	for (size_t i = 0; i < b->n; i++) {
		struct str rest, section;
		if (!stage_text(b, &b->v[i], c->source, &rest)) continue;
		bool more = event_message_cut(&rest, STR("\r\n\r\n"), &section);
		add_description(s, b, &b->v[i], section);
		while (more) {
			more = event_message_cut(&rest, STR("\r\n\r\n"), &section);
			add_section(s, b, &b->v[i], section);
		}
	}
}

static const struct conf_table table = {"windowsevent stage", sizeof(struct event_message),
					event_message_fields, .lenient = true,
					.any_case = true,     .typing = CONF_EXACT};

const struct stage_type stage_windowsevent = {
	.name = "windowsevent",
	.doc = "Extracts the parts of a Windows event's message.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.plan = event_message_plan,
	.run = run,
	.simple = true,
};
