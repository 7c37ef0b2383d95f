/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ast: a LogQL query as a tree.
 *
 * All nodes live in the arena given to logql_parse(), all slices borrow from it or from the query's text. Spans are
 * byte offsets into that text. Parents point to children; nothing points up. The tree is at most LOGQL_MAX_DEPTH deep
 * (logql_parse refuses more), so walkers may recurse. Compiled objects (regexes, patterns, templates, …) are reference
 * counted or owned by struct logql, which frees them in logql_free(); they are immutable and safe to share between
 * threads. After parsing the tree does not change; logql_compile() adds `run` and the stages' compiled objects. */
#ifndef LARCH_SERVER_LOGQL_AST_H
#define LARCH_SERVER_LOGQL_AST_H

#include "pipeline/extract/json.h"
#include "pipeline/extract/pattern.h"
#include "pipeline/extract/regexp.h"
#include "pipeline/ipfilter.h"
#include "pipeline/linefilter.h"
#include "pipeline/selector.h"
#include "pipeline/template.h"

#define LOGQL_MAX_DEPTH 1000

struct logql_span {
	uint32_t from, to;
};

/* ---- operations, from funcs.def ---- */

enum { /* flags of range and vector functions */
       LOGQL_UNWRAP_ALWAYS = 1,
       LOGQL_UNWRAP_NEVER = 2,
       LOGQL_GROUPS = 4, /* takes by/without */
       LOGQL_PARAM = 8   /* takes (and needs) a number before the expression */
};
enum { /* flags of binary operators; without any it is arithmetic */
       LOGQL_SET_OP = 1,
       LOGQL_COMPARES = 2,
       LOGQL_RIGHT_ASSOC = 4
};

enum logql_range_fn {
#define RANGE_FN(id, name, flags) LOGQL_##id,
#include "server/logql/funcs.def"
	LOGQL_RANGE_FNS
};
enum logql_vector_fn {
#define VECTOR_FN(id, name, flags) LOGQL_##id,
#include "server/logql/funcs.def"
	LOGQL_VECTOR_FNS
};
enum logql_binary_op {
#define BINARY_OP(id, text, precedence, flags) LOGQL_OP_##id,
#include "server/logql/funcs.def"
	LOGQL_BINARY_OPS
};
enum logql_unwrap_conv {
	LOGQL_UNWRAP_NUMBER, /* `| unwrap x`: a plain float */
#define UNWRAP_CONV(id, name) LOGQL_UNWRAP_##id,
#include "server/logql/funcs.def"
	LOGQL_UNWRAP_CONVS
};

struct logql_op_info {
	const char *name;
	unsigned flags;
	unsigned precedence; /* binary operators */
};
extern const struct logql_op_info logql_range_fns[LOGQL_RANGE_FNS];
extern const struct logql_op_info logql_vector_fns[LOGQL_VECTOR_FNS];
extern const struct logql_op_info logql_binary_ops[LOGQL_BINARY_OPS];
extern const struct logql_op_info logql_unwrap_convs[LOGQL_UNWRAP_CONVS]; /* [LOGQL_UNWRAP_NUMBER].name is "" */

/* ---- label filters ---- */

enum logql_filter_kind {
	LOGQL_FILTER_AND,
	LOGQL_FILTER_OR,
	LOGQL_FILTER_MATCH,  /* = != =~ !~ with a string */
	LOGQL_FILTER_IP,     /* a = ip("…"), a != ip("…") */
	LOGQL_FILTER_NUMBER, /* the rest compare numerically with cmp */
	LOGQL_FILTER_DURATION,
	LOGQL_FILTER_BYTES
};

enum logql_cmp { LOGQL_CMP_EQ, LOGQL_CMP_NEQ, LOGQL_CMP_GT, LOGQL_CMP_GTE, LOGQL_CMP_LT, LOGQL_CMP_LTE };

struct logql_simple_regex; /* server/logql/simple_regex.h: run it with simple_regex_match() */

struct logql_filter {
	enum logql_filter_kind kind;
	unsigned depth; /* 1 for leaves */
	struct logql_span span;
	struct str label; /* leaves */
	union {
		struct {
			struct logql_filter *left, *right; /* AND, OR */
		};
		struct {
			struct matcher match;
			/* Loki runs simple regexes as substring searches, which loses the anchors (a quirk that users
			 * see: `level=~"err.*"` takes "stderr"). NULL: match.re counts. */
			const struct logql_simple_regex *simple;
		};
		struct {
			enum logql_cmp cmp;   /* IP: only EQ and NEQ */
			double num;           /* NUMBER */
			int64_t dur;          /* DURATION, ns */
			uint64_t bytes;       /* BYTES */
			struct str ip;        /* IP: the text */
			struct ipfilter addr; /* IP */
			bool addr_ok;         /* IP: false: the text is no address, so no line passes */
		};
	};
};

/* ---- stages ---- */

enum logql_stage_kind {
	LOGQL_STAGE_LINE_FILTERS, /* a run of line filters */
	LOGQL_STAGE_JSON,         /* | json, | json a="b.c" */
	LOGQL_STAGE_LOGFMT,       /* | logfmt [flags] [a="b"] */
	LOGQL_STAGE_REGEXP,
	LOGQL_STAGE_PATTERN,
	LOGQL_STAGE_UNPACK,
	LOGQL_STAGE_LABEL_FILTER,
	LOGQL_STAGE_LINE_FORMAT,
	LOGQL_STAGE_LABEL_FORMAT,
	LOGQL_STAGE_DECOLORIZE,
	LOGQL_STAGE_DROP,
	LOGQL_STAGE_KEEP,
	/* Beyond Loki (LEX_EXTENSIONS). The last three look at all lines of an answer, and only end a log query. */
	LOGQL_STAGE_UNROLL, /* | unroll "path" */
	LOGQL_STAGE_UNIQ,   /* | uniq [by (…)] */
	LOGQL_STAGE_TOP,    /* | top N [by (…)] */
	LOGQL_STAGE_SORT,   /* | sort [by (label)] [desc] */
	LOGQL_STAGE_KINDS
};

static inline bool logql_stage_ends(enum logql_stage_kind k) { return k >= LOGQL_STAGE_UNIQ; }

/* One assignment of label_format: a rename (dst=src) or a template (dst="text"). */
struct logql_label_format {
	struct str dst;
	bool rename;
	struct str src;                  /* rename: the source label; else the template's text */
	const struct template *compiled; /* templates; set by logql_compile */
};

/* One item of drop or keep: a name, or a matcher that must hold for its label. */
struct logql_drop {
	struct str name;
	bool has_match;
	struct matcher match; /* if has_match; match.name is name */
};

struct logql_stage {
	enum logql_stage_kind kind;
	struct logql_span span;
	union {
		struct {
			struct linefilter *filters; /* LINE_FILTERS, as written */
			size_t n_filters;
			const struct linefilters *compiled_filters; /* all of them as one group */
		};
		struct {
			/* JSON, LOGFMT: name = expression; n_exprs == 0: all fields. UNROLL: the path, under no name;
			 * n_exprs == 0: the line itself */
			struct extract_expr *exprs;
			size_t n_exprs;
			unsigned logfmt_flags;          /* LOGFMT: LOGFMT_STRICT, LOGFMT_KEEP_EMPTY */
			const struct json_paths *paths; /* JSON, UNROLL with exprs */
		};
		struct {
			struct str text;                      /* REGEXP, PATTERN, LINE_FORMAT: the string */
			const struct extract_re *re;          /* REGEXP; set by logql_parse */
			const struct pattern *pattern;        /* PATTERN; set by logql_parse */
			const struct template *line_template; /* LINE_FORMAT */
		};
		struct logql_filter *filter; /* LABEL_FILTER */
		struct {
			struct logql_label_format *formats; /* LABEL_FORMAT */
			size_t n_formats;
		};
		struct {
			struct logql_drop *drops; /* DROP, KEEP */
			size_t n_drops;
		};
		struct {
			struct str *by; /* UNIQ, TOP, SORT: labels; n_by == 0: the line */
			size_t n_by;
			uint32_t top; /* TOP: how many */
			bool desc;    /* SORT */
		};
	};
};

/* ---- log expressions and ranges ---- */

/* A selector with its pipeline. */
struct logql_log {
	struct logql_span span;
	struct selector selector;
	struct logql_stage *stages; /* as written; what is printed */
	size_t n_stages;
	/* Set by logql_compile: the stages in the order in which they run, with compiled objects. Line filters have
	 * moved left over everything but label filters, line_format and unpack, and are merged into one stage per
	 * group. */
	struct logql_stage *run;
	size_t n_run;
};

struct logql_unwrap {
	struct logql_span span;
	struct str label;
	enum logql_unwrap_conv conv;
	struct logql_filter **filters; /* label filters behind it */
	size_t n_filters;
};

/* log[interval] offset … | unwrap … */
struct logql_range {
	struct logql_span span;
	struct logql_log *log;
	int64_t interval;            /* ns */
	int64_t offset;              /* ns; may be negative */
	struct logql_unwrap *unwrap; /* NULL: none */
};

/* ---- expressions ---- */

enum logql_kind {
	LOGQL_LOG,
	LOGQL_RANGE_AGG,
	LOGQL_VECTOR_AGG,
	LOGQL_BINARY,
	LOGQL_LITERAL,
	LOGQL_VECTOR, /* vector(5) */
	LOGQL_LABEL_REPLACE,
	LOGQL_VARIANTS
};

struct logql_grouping {
	bool present; /* by () makes one group; nothing at all keeps a range function's series apart */
	bool without;
	struct str *names;
	size_t n;
};

enum logql_card { LOGQL_ONE_TO_ONE, LOGQL_MANY_TO_ONE /* group_left */, LOGQL_ONE_TO_MANY /* group_right */ };

struct logql_matching {
	enum logql_card card;
	bool on; /* on(…); else ignoring(…), which with no names is what holds when neither is written */
	struct str *names;
	size_t n;
	struct str *include; /* group_left(…), group_right(…) */
	size_t n_include;
};

struct logql_expr {
	enum logql_kind kind;
	struct logql_span span;
	unsigned depth; /* 1 for leaves */
	union {
		struct logql_log *log; /* LOG */
		struct {
			enum logql_range_fn fn;
			struct str param_text; /* as written; n == 0: none */
			double param;          /* quantile_over_time */
			struct logql_range *range;
			struct logql_grouping grouping;
		} range_agg;
		struct {
			enum logql_vector_fn fn;
			struct str param_text; /* as written; n == 0: none */
			int64_t param;         /* topk, bottomk, approx_topk: k >= 1; else 0 */
			struct logql_expr *expr;
			struct logql_grouping grouping;
		} vector_agg;
		struct {
			enum logql_binary_op op;
			bool return_bool;
			struct logql_matching matching;
			struct logql_expr *left, *right;
		} binary;
		double literal; /* LITERAL, VECTOR */
		struct {
			struct logql_expr *expr;
			struct str dst, replacement, src, regex;
			const struct regex *re; /* anchored */
		} label_replace;
		struct {
			struct logql_expr **exprs; /* variants(exprs) of (range) */
			size_t n;
			struct logql_range *range;
		} variants;
	};
};

#endif
