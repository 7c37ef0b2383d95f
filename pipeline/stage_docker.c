/* SPDX-License-Identifier: GPL-2.0-or-later */
/* docker: lines of Docker's json-file driver, {"log":"…\n","stream":"stdout","time":"…"}: the stream becomes a label,
 * the time the entry's, log its line. What is no such object passes. */
#include "pipeline/stage.h"

static const char stages[] =
	"[{json: {expressions: {output: log, stream: stream, timestamp: time}}}, {labels: {stream: }}, "
	"{timestamp: {source: timestamp, format: RFC3339Nano}}, {output: {source: output}}]";

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	(void)body;
	const struct yaml *n = yaml_parse(s->arena, str_c(stages), e);
	s->state = n ? pipeline_nested(s, n, e) : NULL;
	return s->state;
}

static void fini(struct stage *s) { pipeline_free(s->state); }
static void run(struct stage *s, struct batch *b) { pipeline_run_nested(s->state, b); }

const struct stage_type stage_docker = {
	.name = "docker",
	.doc = "Reads the log format of Docker's json-file driver.",
	.make = make,
	.fini = fini,
	.run = run,
};
