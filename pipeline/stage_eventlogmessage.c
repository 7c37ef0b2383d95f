/* SPDX-License-Identifier: GPL-2.0-or-later */
/* eventlogmessage: the "Key: value" lines of a Windows event's message become extracted values. */
#include "pipeline/event_message.h"

static void run(struct stage *s, struct batch *b)
{
	const struct event_message *c = s->conf;
	for (size_t i = 0; i < b->n; i++) {
		struct str rest, line, key;
		if (!stage_text(b, &b->v[i], c->source, &rest)) continue;
		for (bool more = true; more;) {
			more = event_message_cut(&rest, STR("\r\n"), &line);
			if (str_cut(&line, ':', &key))
				event_message_add(c, b, &b->v[i], key, str_trim(line), labels_name_valid);
		}
	}
}

static const struct conf_table table = {"eventlogmessage stage", sizeof(struct event_message),
					event_message_fields,    .lenient = true,
					.any_case = true,        .typing = CONF_EXACT};

const struct stage_type stage_eventlogmessage = {
	.name = "eventlogmessage",
	.doc = "Extracts the key: value lines of a Windows event's message.",
	.conf = &table,
	.plan = event_message_plan,
	.run = run,
	.simple = true,
};
