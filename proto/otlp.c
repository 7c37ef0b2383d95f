/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/otlp.h"

#include "proto/otlp_map.h"
#include "proto/wire.h"

/* Messages inside each other; a value inside a value takes three. protobuf-c recurses for each. */
#define DEPTH_MAX 192

static bool bad_wire(struct err *e, struct str body, const char *at, const char *what)
{
	err_set(e, ERR_INVALID, "protobuf: %s at byte %td", what, at - body.p);
	e->off = at - body.p;
	return false;
}

/* Walks the messages that the schema knows, before protobuf-c does. */
static bool check_message(const ProtobufCMessageDescriptor *m, struct str in, unsigned depth, struct str body,
			  struct err *e)
{
	struct wire_field w;
	for (const char *p = in.p, *end = in.p + in.n; p < end;) {
		const char *what = wire_next(&p, end, &w);
		if (what) return bad_wire(e, body, p, what);
		const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(m, w.number);
		if (!f || f->type != PROTOBUF_C_TYPE_MESSAGE || w.wire != WIRE_BYTES) continue;
		if (depth == DEPTH_MAX) return bad_wire(e, body, p, "values nested too deeply");
		if (!check_message(f->descriptor, w.bytes, depth + 1, body, e)) return false;
	}
	return true;
}

/* protobuf-c's memory: the arena, but never beyond its cap. */
struct memory {
	struct arena *a;
	bool refused;
};

static void *take(void *ud, size_t n)
{
	struct memory *m = ud;
	m->refused = m->a->cap && (n > m->a->cap || m->a->used > m->a->cap - n);
	return m->refused ? NULL : arena_alloc(m->a, n);
}

static void leave(void *ud, void *p) { (void)ud, (void)p; }

bool otlp_decode(struct arena *a, struct str body, const struct otlp_rules *rules, struct push *out, struct err *e)
{
	struct memory memory = {.a = a};
	ProtobufCAllocator allocator = {take, leave, &memory};
	*out = (struct push){0};
	if (!check_message(&otlp__logs_request__descriptor, body, 1, body, e)) return false;
	Otlp__LogsRequest *request = otlp__logs_request__unpack(&allocator, body.n, (const uint8_t *)body.p);
	if (request) return otlp_map(a, request, rules, out, e);
	if (memory.refused) return otlp_too_large(a, e);
	return err_set(e, ERR_INVALID,
		       "protobuf: a field of the OTLP logs request has another wire type than its schema");
}
