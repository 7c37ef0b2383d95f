/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stage: what one kind of pipeline stage is. A new one is a row in stages.def and a file stage_NAME.c that
 * defines `const struct stage_type stage_NAME`, and a test.
 *
 * A stage sees whole batches. It changes entries in place, drops them with stage_drop_entry(), or keeps them for
 * later (entry_keep) and emits them in a later run, tick or flush. Within a run, entries that go on keep
 * their order. State is the stage's own; one thread. No allocation per entry outside the batch's arena. */
#ifndef LARCH_PIPELINE_STAGE_H
#define LARCH_PIPELINE_STAGE_H

#include "common/conf.h"
#include "common/regex.h"
#include "pipeline/extract/jval.h"
#include "pipeline/pipeline.h"

struct stage {
	const struct stage_type *type;
	const struct pipeline_env *env;
	struct arena *arena; /* the pipeline's: configuration lives there */
	unsigned depth;      /* 1: not nested */
	void *conf;          /* struct described by type->conf, zero-filled and decoded */
	void *state;         /* whatever make() puts there and fini() frees */
};

/* The names of extracted values that are read further on. */
struct reads {
	struct arena *a;
	struct str *v;
	size_t n, cap;
	bool all;
};

struct stage_type {
	const char *name, *doc;
	const struct conf_table *conf; /* body of the stage; NULL: make() reads the node itself */
	/* What is different in Alloy's dialect: the name (NULL: the same; "": there is no such stage), and rows over
	 * the same struct, which there stand beside those of conf, in the place of the one that sets the same member.
	 */
	const char *alloy_name;
	const struct conf_table *alloy;
	/* Compiles conf; body is the YAML node for places in errors. NULL: nothing to compile. */
	bool (*make)(struct stage *s, const struct yaml *body, struct err *e);
	void (*fini)(
		struct stage *s); /* called when state is set, also after a make that failed; NULL: nothing to free */
	/* Once, when the pipeline is complete: r is what later stages read. Sees to it that nothing else is extracted,
	 * and adds what the stage itself reads. NULL: it neither extracts nor reads. */
	void (*plan)(struct stage *s, struct reads *r);
	void (*run)(struct stage *s, struct batch *b);
	int64_t (*deadline)(const struct stage *s); /* clock_mono of the next tick, INT64_MAX: none; NULL: never */
	void (*tick)(struct stage *s, struct batch *b, int64_t now); /* adds what is due to b, which is empty */
	void (*flush)(struct stage *s, struct batch *b);             /* adds everything kept to b, which is empty */
	bool (*full)(const struct stage *s);                         /* holds as much back as it may; NULL: never */
	bool bare; /* the body is not a mapping of keys but the value of conf's only row; null is refused. Not in Alloy.
		    */
	bool simple; /* one entry in, one out: shown by -inspect */
};

/* Drops on purpose: reported with its origins under the reason. */
void stage_drop_entry(struct stage *s, struct entry *e, struct str reason);

static inline bool stage_is_alloy(const struct stage *s) { return s->env->dialect == PIPELINE_ALLOY; }

void reads_add(struct reads *r, struct str name);
bool reads_has(const struct reads *r, struct str name);

/* The nested list of a stage such as match. */
struct pipeline *pipeline_nested(const struct stage *parent, const struct yaml *stages, struct err *e);
void pipeline_plan(struct pipeline *p, struct reads *r);
void pipeline_run_nested(struct pipeline *p, struct batch *b);
/* The stages alone: for a stage that has called entry_begin() and then extracted something itself. */
void pipeline_run_rest(struct pipeline *p, struct batch *b);

/* For make(). An error at the value of body's key (in any case; at the body itself if key is NULL or not there). False.
 */
bool stage_refuse(const struct yaml *body, const char *key, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* A name for anything but labels. */
static inline bool stage_name_valid(struct str name) { return name.n && str_utf8_valid(name); }
/* Compiles what stands at the key. */
struct regex *stage_compile(const struct yaml *body, const char *key, struct str pattern, struct err *e);
/* A map of names of labels or metadata to where their values come from: no source means the name itself. */
bool stage_label_sources(const struct yaml *body, struct labels *map, bool (*valid)(struct str name), struct err *e);
/* For conf_decode() of parts that make() reads itself. */
struct conf_ctx stage_conf_ctx(const struct stage *s);
/* Warns about the value of the key: file:line:col, stage, text. */
void stage_warn(const struct stage *s, const struct yaml *body, const char *key, const char *text);

/* Text of an extracted value. False: the name is missing or its value has no text. */
static inline bool stage_text(struct batch *b, const struct entry *e, struct str name, struct str *out)
{
	struct value scratch;
	const struct value *v = entry_get(e, name, &scratch);
	return v && value_text(b->arena, v, out);
}
/* The same of `source`, or of the line if there is none. */
static inline bool stage_input(struct batch *b, const struct entry *e, struct str source, struct str *out)
{
	if (source.n) return stage_text(b, e, source, out);
	*out = e->line;
	return true;
}
/* A JSON value as an extracted one; arrays and objects are JSON text, which the scratch buffer is for. */
struct value stage_value(struct arena *a, const struct jval *v, struct buf *scratch);
static inline void stage_set(struct batch *b, struct entry *e, struct str name, struct str text)
{
	entry_set(b, e, name, (struct value){.kind = VALUE_STR, .s = text});
}

#endif
