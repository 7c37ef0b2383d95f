/* SPDX-License-Identifier: GPL-2.0-or-later */
/* event_message: what the two stages for messages of Windows events share: options, and how a "key: value" becomes an
 * extracted value. */
#ifndef LARCH_PIPELINE_EVENT_MESSAGE_H
#define LARCH_PIPELINE_EVENT_MESSAGE_H

#include "pipeline/stage.h"

struct event_message {
	struct str source;
	bool drop_invalid, overwrite;
};
extern const struct conf_field event_message_fields[];

/* Cuts at the separator: false when there was none left, and head is the whole rest. */
bool event_message_cut(struct str *rest, struct str separator, struct str *head);
/* For a stage's plan: names are compared with all that is there. */
void event_message_plan(struct stage *s, struct reads *r);
/* A key that is not valid as a name is made one or left out; one that is taken gets "_extracted" behind it; a value
 * that is not UTF-8 is left out. Both must live as long as the batch. */
void event_message_add(const struct event_message *c, struct batch *b, struct entry *e, struct str key,
		       struct str value, bool (*valid)(struct str name));

#endif
