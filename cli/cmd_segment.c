/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Segments as files, without a server: what is in one, is it whole, its entries. */
#include "cli/cli.h"
#include "cli/print.h"
#include "common/units.h"
#include "server/store/columns.h"
#include "server/store/segment_file.h"
#include "server/store/segment_verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FLUSH_BYTES (1u << 16) /* of output */

/* ---- inspect ---- */

struct weight { /* parts of one kind */
	uint64_t parts, stored, raw;
};

static void weigh(struct weight *w, const struct segment_part *p)
{
	w->parts++;
	w->stored += p->len;
	w->raw += p->raw;
}

static void put_weight(struct cli *c, const char *what, const struct weight *w, uint64_t all)
{
	buf_printf(&c->out, "  %-24s %8llu %14llu  %5.1f %%", what, (unsigned long long)w->parts,
		   (unsigned long long)w->stored, all ? 100.0 * (double)w->stored / (double)all : 0.0);
	if (w->raw)
		buf_printf(&c->out, " %14llu  %6.2f", (unsigned long long)w->raw,
			   w->stored ? (double)w->raw / (double)w->stored : 0.0);
	buf_ch(&c->out, '\n');
}

static void put_columns(struct cli *c, const struct segment_blocks *b, uint64_t all)
{
	struct weight lines = {0}, ts = {0}, lens = {0}, filters = {0};
	struct weight *metas = mem_zalloc((b->names.n + 1) * sizeof *metas);
	for (uint32_t i = 0; i < b->nframes; i++) {
		weigh(&lines, &b->frames[i].part);
		if (b->frames[i].filter.len) weigh(&filters, &b->frames[i].filter);
	}
	for (uint32_t i = 0; i < b->ngranules; i++) {
		weigh(&ts, &b->granules[i].ts);
		weigh(&lens, &b->granules[i].len);
	}
	for (uint32_t i = 0; i < b->nmetas; i++) weigh(&metas[b->metas[i].name], &b->metas[i].part);
	put_weight(c, "lines", &lines, all);
	put_weight(c, "filters", &filters, all);
	put_weight(c, "timestamps", &ts, all);
	put_weight(c, "line lengths", &lens, all);
	for (uint32_t i = 0; i < b->names.n; i++) {
		struct buf name = {0};
		buf_printf(&name, "metadata %.*s", STR_ARG(segment_symbol(&b->names, i)));
		if (metas[i].parts) put_weight(c, buf_cstr(&name), &metas[i], all);
		buf_free(&name);
	}
	free(metas);
}

static void put_index(struct cli *c, const struct segment_root *r, uint64_t all)
{
	struct weight root = {0}, pages = {0}, blocks = {0};
	weigh(&root, &r->self);
	put_weight(c, r->version > 1 ? "root" : "index", &root, all);
	if (r->version == 1) return;
	for (uint32_t i = 0; i < r->npages; i++) weigh(&pages, &r->pages[i].part);
	weigh(&blocks, &r->blocks);
	put_weight(c, "directory of blocks", &blocks, all);
	put_weight(c, "streams", &pages, all);
	for (uint32_t i = 0; i < r->nnames; i++) {
		struct weight values = {0};
		struct buf name = {0};
		for (uint32_t k = 0; k < r->names[i].npages; k++) weigh(&values, &r->names[i].pages[k].part);
		buf_printf(&name, "postings %.*s", STR_ARG(r->names[i].name));
		put_weight(c, buf_cstr(&name), &values, all);
		buf_free(&name);
	}
}

static bool times_of(const struct segment_view *v, int64_t *min, int64_t *max)
{
	const struct segment_blocks *b = v->blocks;
	for (uint32_t i = 0; i < b->ngranules; i++) {
		if (i == 0 || b->granules[i].min_ts < *min) *min = b->granules[i].min_ts;
		if (i == 0 || b->granules[i].max_ts > *max) *max = b->granules[i].max_ts;
	}
	return b->ngranules > 0;
}

static void put_head(struct cli *c, const struct segment_file *f, const struct segment_view *v)
{
	const struct segment_root *r = v->root;
	struct buf *b = &c->out;
	int64_t min, max;
	buf_printf(b, "%s\n  version     %u\n  tenant      %.*s\n  bytes       %llu (of lines: %llu)\n", f->seg->name,
		   r->version, STR_ARG(r->tenant), (unsigned long long)f->seg->size, (unsigned long long)r->bytes);
	buf_printf(b, "  entries     %llu, of %u streams\n", (unsigned long long)r->rows, r->nstreams);
	if (times_of(v, &min, &max)) {
		buf_c(b, "  from        ");
		print_time(b, min);
		buf_c(b, "\n  to          ");
		print_time(b, max);
		buf_ch(b, '\n');
	}
	buf_printf(b, "  blocks      %u, granules %u, frames %u\n", v->blocks->nblocks, v->blocks->ngranules,
		   v->blocks->nframes);
	for (uint32_t i = 0; i < r->ncovers; i++)
		buf_printf(b, "  covers      writer %016llx, records %llu to %llu\n",
			   (unsigned long long)r->covers[i].writer, (unsigned long long)r->covers[i].lo,
			   (unsigned long long)r->covers[i].hi - 1);
}

static bool inspect(struct cli *c, struct segment_file *f, struct err *e)
{
	struct segment_view v = {0};
	bool ok = segment_view_open(&v, f->seg, e);
	if (ok) {
		put_head(c, f, &v);
		if (!c->o.quiet)
			buf_printf(&c->out, "  %-24s %8s %14s %8s %14s %7s\n", "PARTS", "NUMBER", "STORED", "SHARE",
				   "EXPANDED", "RATIO");
		put_columns(c, v.blocks, f->seg->size);
		put_index(c, v.root, f->seg->size);
	}
	segment_view_close(&v);
	return ok;
}

/* ---- verify ---- */

struct verifying {
	struct cli *c;
	const char *path;
	bool show;   /* progress, on a terminal */
	int percent; /* shown last */
};

static void tell_fault(void *ud, const char *text)
{
	struct verifying *w = ud;
	buf_printf(&w->c->out, "%s: %s\n", w->path, text);
}

static void tell_progress(void *ud, uint64_t done, uint64_t rows)
{
	struct verifying *w = ud;
	int percent = rows ? (int)(done * 100 / rows) : 100;
	if (!w->show || percent == w->percent) return;
	w->percent = percent;
	fprintf(stderr, "\r%s: %d %%", w->path, percent);
}

static bool verify(struct cli *c, struct segment_file *f, struct err *e)
{
	struct verifying w = {c, f->seg->name, !c->o.quiet && isatty(STDERR_FILENO), -1};
	struct segment_verify_opts o = {tell_fault, tell_progress, &w};
	uint64_t faults = segment_verify(f->seg, &o);
	if (w.percent >= 0) fprintf(stderr, "\r\x1b[K");
	if (faults)
		return err_set(e, ERR_CORRUPT, "%s: %llu things do not hold", f->seg->name, (unsigned long long)faults);
	if (!c->o.quiet) buf_printf(&c->out, "%s: whole\n", f->seg->name);
	return true;
}

/* ---- dump ---- */

static void put_jsonl(struct cli *c, int64_t ts, const struct labels *labels, struct str line,
		      const struct labels *meta)
{
	struct buf time = {0};
	struct json_out o;
	units_rfc3339nano_print(&time, ts);
	json_out_init(&o, &c->out, false);
	json_open(&o, '{');
	json_key(&o, STR("labels"));
	print_labels_json(&o, labels);
	json_key(&o, STR("metadata"));
	print_labels_json(&o, meta);
	json_key(&o, STR("timestamp"));
	json_put_str(&o, buf_view(&time));
	json_key(&o, STR("line"));
	json_put_str(&o, line);
	json_close(&o, '}');
	buf_ch(&c->out, '\n');
	buf_free(&time);
}

static bool dump_row(struct cli *c, struct columns *cols, const struct labels *labels, uint32_t row, struct err *e)
{
	struct result_entry entry = {.labels = labels};
	const struct labels *meta;
	const int64_t *ts = columns_ts(cols, row, e);
	if (!ts) return false;
	entry.ts = *ts;
	if ((c->o.from || c->o.since) && entry.ts < c->o.start) return true;
	if (c->o.to && entry.ts >= c->o.end) return true;
	if (!columns_line(cols, row, &entry.line, e) || !(meta = columns_meta(cols, row, e))) return false;
	if (c->o.output == OUTPUT_JSONL)
		put_jsonl(c, entry.ts, labels, entry.line, meta);
	else
		print_entry(c, &entry);
	return c->out.n < FLUSH_BYTES || cli_flush(c, e);
}

/* What cannot be read is told of on standard error; the rest is dumped. */
static bool dump_stream(struct cli *c, struct columns *cols, const struct labels *labels,
			const struct segment_stream *st, uint64_t *lost, struct err *e)
{
	for (uint32_t row = st->first_row; row < st->first_row + st->rows; row++) {
		if (dump_row(c, cols, labels, row, e)) continue;
		if (e->code != ERR_CORRUPT) return false;
		if ((*lost)++ == 0) cli_note(c, "%s", e->msg);
		*e = ERR_INIT;
	}
	return true;
}

static bool dump_view(struct cli *c, struct segment_view *v, const struct selector *sel, struct err *e)
{
	struct columns cols = {.seg = v->seg, .blocks = v->blocks};
	uint64_t lost = 0;
	bool ok = true;
	for (uint32_t i = 0; ok && i < v->root->nstreams; i++) {
		struct segment_stream st;
		if (!segment_view_stream(v, i, &st, e)) {
			cli_note(c, "%s", e->msg);
			ok = e->code == ERR_CORRUPT;
			if (ok) *e = ERR_INIT;
			const struct segment_page_ref *page = &v->root->pages[segment_page_of(v->root, i)];
			lost += page->rows;
			i = (segment_page_of(v->root, i) + 1) * v->root->page_streams - 1;
			continue;
		}
		struct label *pairs = mem_alloc((st.npairs + 1) * sizeof *pairs);
		struct labels labels = {pairs, st.npairs};
		segment_labels(v->page, &st, pairs);
		if (selector_match(sel, &labels)) ok = dump_stream(c, &cols, &labels, &st, &lost, e);
		free(pairs);
	}
	columns_release(&cols);
	if (ok && lost)
		return err_set(e, ERR_CORRUPT, "%s: %llu entries cannot be read", v->seg->name,
			       (unsigned long long)lost);
	return ok;
}

static bool dump(struct cli *c, struct segment_file *f, struct err *e)
{
	struct segment_view v = {0};
	struct selector sel = {0};
	struct arena a;
	arena_init(&a, 0);
	bool ok = true;
	if (c->o.match) {
		struct lex lx;
		lex_init(&lx, str_c(c->o.match), &a, 0, e);
		ok = (selector_parse(&lx, &sel) && lex_expect(&lx, TOK_EOF)) || err_wrap(e, "--match");
	}
	ok = ok && segment_view_open(&v, f->seg, e) && dump_view(c, &v, &sel, e);
	segment_view_close(&v);
	selector_fini(&sel);
	arena_free(&a);
	return ok;
}

/* ---- the command ---- */

static const struct {
	const char *name;
	bool (*run)(struct cli *c, struct segment_file *f, struct err *e);
} actions[] = {{"inspect", inspect}, {"verify", verify}, {"dump", dump}};

/* The last error stands for all; those before are told of. */
static bool run_files(struct cli *c, size_t action, struct err *e)
{
	bool ok = true;
	for (size_t i = 1; i < c->o.args.n; i++) {
		struct segment_file f;
		struct err one = ERR_INIT;
		bool opened = segment_file_open(&f, &fs_real, c->o.args.v[i], &one);
		bool done = opened && actions[action].run(c, &f, &one);
		if (opened) segment_file_close(&f);
		if (done) continue;
		if (!ok) cli_note(c, "%s", e->msg);
		*e = one;
		ok = false;
	}
	return ok;
}

static bool run(struct cli *c, struct err *e)
{
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (strcmp(c->o.args.v[0], actions[i].name) == 0) return run_files(c, i, e);
	return err_set(e, ERR_INVALID, "\"%s\" is nothing to do with segments; there are inspect, verify and dump",
		       c->o.args.v[0]);
}

const struct cli_command cmd_segment = {
	.name = "segment",
	.args = "inspect|verify|dump FILE…",
	.summary = "looks into files of the store, without a server",
	.help = "inspect prints what is in a segment and what its parts weigh; verify reads every part and compares "
		"what\n"
		"must agree, and exits with 1 if something does not hold; dump prints its entries, stream after "
		"stream\n"
		"(jsonl has structured metadata, too), all of them unless --from, --to or --match say less. Segments "
		"are\n"
		"the files below DIR/store/TENANT/segments/ (docs/FORMATS.md); they are only read, also while a "
		"server\n"
		"runs.\n",
	.examples = "  # is what the disk holds still good?\n"
		    "  larchctl segment verify /var/lib/larch/store/*/segments/*\n"
		    "  # one application's lines out of a backup\n"
		    "  larchctl segment dump -o jsonl --match '{app=\"shop\"}' 0c53e6…\n",
	.options = OPTIONS_CONNECT | OPTIONS_RANGE | OPTIONS_OUTPUT | OPTIONS_SEGMENT,
	.min_args = 2,
	.max_args = SIZE_MAX,
	.run = run,
};
