/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stage: what one kind of pipeline stage is. A new one is a row in stages.def and a file stage_NAME.c that
 * defines `const struct stage_type stage_NAME`, and a test.
 *
 * A stage sees whole batches. It changes entries in place, drops them with stage_drop(), or keeps them for
 * later (entry_keep) and emits them in a later run, tick or flush. Within a run, entries that go on keep
 * their order. State is the stage's own; one thread. No allocation per entry outside the batch's arena. */
#ifndef LARCH_PIPELINE_STAGE_H
#define LARCH_PIPELINE_STAGE_H

#include "common/conf.h"
#include "pipeline/pipeline.h"

struct stage {
	const struct stage_type *type;
	const struct pipeline_env *env;
	struct arena *arena; /* the pipeline's: configuration lives there */
	unsigned depth;      /* 1: not nested */
	void *conf;          /* struct described by type->conf, zero-filled and decoded */
	void *state;         /* whatever make() puts there and fini() frees */
};

struct stage_type {
	const char *name, *doc;
	const struct conf_table *conf;  /* body of the stage; NULL: make() reads the node itself */
	/* Compiles conf; body is the YAML node for places in errors. NULL: nothing to compile. */
	bool (*make)(struct stage *s, const struct yaml *body, struct err *e);
	void (*fini)(struct stage *s);                           /* NULL: nothing to free */
	void (*run)(struct stage *s, struct batch *b);
	int64_t (*deadline)(const struct stage *s);              /* clock_mono of the next tick, INT64_MAX: none; NULL: never */
	void (*tick)(struct stage *s, struct batch *b, int64_t now); /* adds what is due to b, which is empty */
	void (*flush)(struct stage *s, struct batch *b);         /* adds everything kept to b, which is empty */
	bool simple;                    /* one entry in, one out: shown by -inspect */
};

/* Drops on purpose: reported with its origins under the reason. */
void stage_drop(struct stage *s, struct entry *e, struct str reason);

/* The nested list of a stage such as match. */
struct pipeline *pipeline_nested(const struct stage *parent, const struct yaml *stages, struct err *e);
void pipeline_run_nested(struct pipeline *p, struct batch *b);

/* Text of an extracted value. False: the name is missing or its value has no text. */
static inline bool stage_text(struct batch *b, const struct entry *e, struct str name, struct str *out)
{
	struct value scratch;
	const struct value *v = entry_get(e, name, &scratch);
	return v && value_text(b->arena, v, out);
}

#endif
