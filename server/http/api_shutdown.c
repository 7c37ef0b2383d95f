/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ending in order, for whoever scales servers down: no more pushes, what is in memory flushed, the process ended.
 * What was acknowledged is durable without any of it. */
#include "common/log.h"
#include "server/http/api_status.h"
#include "server/ingest/ingest.h"
#include "server/store/store.h"

#include <signal.h>
#include <unistd.h>

/* ---- /ingester/shutdown ---- */

static bool flag(struct httpd_req *r, const char *name, bool def, bool *out, struct err *e)
{
	struct str s = api_arg(r, name);
	*out = s.n ? str_eqc(s, "true") || str_eqc(s, "1") : def;
	if (!s.n || *out || str_eqc(s, "false") || str_eqc(s, "0")) return true;
	return err_set(e, ERR_INVALID, "%s: \"%.*s\" is neither true nor false", name, STR_ARG(s));
}

static void shut_down(struct httpd_req *r, void *ctx)
{
	struct api *api = ctx;
	struct err e = ERR_INIT;
	bool flush, terminate, tokens;
	bool ok = flag(r, "flush", true, &flush, &e) && flag(r, "terminate", true, &terminate, &e) &&
		  flag(r, "delete_ring_tokens", false, &tokens, &e);
	if (ok && !ingest_close(api->ingest)) ok = err_set(&e, ERR_UNAVAILABLE, "the ingester was shut down before");
	if (ok) log_info("the ingester is shut down", kv_i("flush", flush), kv_i("terminate", terminate));
	if (ok && flush) ok = ingest_flush(api->ingest, &e) && store_upload(api->store, &e);
	if (!ok) {
		api_fail(r, &e);
		return;
	}
	httpd_reply(r, 204, NULL, NULL);
	if (terminate) kill(getpid(), SIGTERM);
}

/* ---- /ingester/prepare_shutdown ---- */

static void marker_path(struct buf *out, const char *dir) { fs_path(out, dir, "shutdown-requested.txt"); }

bool api_shutdown_marked(struct fs *fs, const char *marker_dir)
{
	struct buf path = {0}, text = {0};
	struct err ignored = ERR_INIT;
	if (!marker_dir) return false;
	marker_path(&path, marker_dir);
	bool there = fs_read_file(fs, buf_cstr(&path), 1 << 16, &text, &ignored);
	buf_free(&path);
	buf_free(&text);
	return there;
}

static bool mark(const struct api_status *s, bool there, struct err *e)
{
	struct buf path = {0};
	marker_path(&path, s->marker_dir);
	bool ok = there ? fs_mkdirs(s->fs, s->marker_dir, 0755, e) &&
				  fs_replace(s->fs, buf_cstr(&path), STR("shutdown requested\n"), 0644, e)
			: fs_unlink(s->fs, buf_cstr(&path), e);
	buf_free(&path);
	return ok;
}

static void prepare(struct httpd_req *r, void *ctx)
{
	struct api *api = ctx;
	const struct api_status *s = api->status;
	struct err e = ERR_INIT;
	if (!s->marker_dir) {
		httpd_reply_text(r, 500, STR("no place for the mark: set ingester.shutdown_marker_path\n"));
		return;
	}
	if (strcmp(httpd_method(r), "GET") == 0) {
		httpd_reply_text(r, 200, api_shutdown_marked(s->fs, s->marker_dir) ? STR("set\n") : STR("unset\n"));
	} else if (mark(s, strcmp(httpd_method(r), "POST") == 0, &e)) {
		httpd_reply(r, 204, NULL, NULL);
	} else {
		api_fail(r, &e);
	}
}

static const struct httpd_route routes[] = {
	{"GET POST", "/ingester/shutdown", shut_down, 0, "ingester_shutdown"},
	{"GET POST DELETE", "/ingester/prepare_shutdown", prepare, 0, "ingester_prepare_shutdown"},
};

const struct api_table api_shutdown_table = API_TABLE(routes);
