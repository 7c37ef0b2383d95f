/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/agent.h"

#include "agent/acks.h"
#include "agent/admin.h"
#include "agent/client.h"
#include "agent/config/promtail.h"
#include "agent/inspect.h"
#include "agent/source.h"
#include "agent/stats.h"
#include "common/log.h"
#include "common/units.h"
#include "common/version.h"
#include "pipeline/custom_metrics.h"
#include "pipeline/pipeline.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define PUMP_ROUNDS     8               /* reads before the loop looks at its descriptors again */
#define IDLE_CHECK      (20 * UNITS_MS) /* how often stopping looks whether clients are done */
#define READY_CHECK     (250 * UNITS_MS)
#define NOTE_READ       UNITS_SEC  /* how long what was read may be unknown to the ledger while nothing is sent */
#define LEDGER_APPENDED (4u << 20) /* the log behind a snapshot may grow so long */
#define MISSING_KEPT    (24 * UNITS_HOUR)

#define QUEUE_BYTES_ONE     (1u << 20) /* about 4 MiB of text and more */
#define QUEUE_BYTES_SEVERAL (8u << 20)

struct agent;

struct job {
	struct agent *agent;
	const struct job_conf *conf;
	struct relabel *relabel;
	struct pipeline_env env;
	struct pipeline *pipeline;
	const struct source_type *type;
	void *source;
	struct source_env source_env;
	struct loop_timer *timer; /* the pipeline's deadline */
	struct arena arena;       /* of the batch that runs */
	char *name;
	bool ready;
};

struct agent {
	const struct agent_config *conf;
	struct agent_opts opts;
	struct loop *loop;
	struct clock *clock;
	struct metrics *metrics;
	struct custom_metrics *custom; /* what pipelines define */
	struct httpc *http;
	struct watch *watch;
	struct ledger *ledger;
	struct positions *positions;
	struct admin *admin;
	struct client **clients;
	size_t nclients;
	const char **names; /* who deals with lines: the clients, or in a dry run the one who prints */
	size_t nnames;
	struct job *jobs;
	size_t njobs, turn;
	struct loop_timer *pump_timer, *save_timer, *note_timer, *stop_timer, *ready_timer;
	struct buf config_text, out;
	double tokens; /* limits_config.readline_rate */
	int64_t tokens_at;
	int64_t stop_by; /* mono ns; 0: running */
	int lock;
	bool paused, saved, colour_out, colour_err;
};

/* ---- checks: what can be wrong before anything is started ---- */

/* For everyone: nobody has to do anything with it any more. */
static void settle_entry(const struct entry *e)
{
	for (uint32_t i = 0; i < e->norigins; i++)
		acks_done_all(e->origins[i].src, e->origins[i].seq, e->origins[i].seq + 1);
}

static void on_dropped(void *ud, const struct entry *e, struct str reason)
{
	struct job *j = ud;

	metrics_add(metrics_get(j->agent->metrics, STAT_STAGE_DROPPED, &reason), 1);
	settle_entry(e);
}

static void on_shared(void *ud, const struct entry *e, size_t more)
{
	(void)ud;
	for (uint32_t i = 0; i < e->norigins; i++) acks_share(e->origins[i].src, e->origins[i].seq, more);
}

static void on_warning(void *ud, const char *text)
{
	struct job *j = ud;

	log_warn("configuration", kv_c("job", j->name), kv_c("warning", text));
}

static void on_inspect(void *ud, const char *stage, const struct entry *before, const struct entry *after)
{
	struct agent *a = ((struct job *)ud)->agent;

	buf_clear(&a->out);
	inspect_stage(stage, before, after, a->colour_err, &a->out);
	fwrite(a->out.p, 1, a->out.n, stderr);
}

static bool job_init(struct job *j, struct agent *a, const struct job_conf *conf, struct err *e)
{
	*j = (struct job){
		.agent = a, .conf = conf, .name = mem_strndup(conf->name.p, conf->name.n), .type = source_for(conf)};
	arena_init(&j->arena, 0);
	j->env = (struct pipeline_env){.dialect = (enum pipeline_dialect)a->conf->larch.dialect,
				       .clock = a->clock,
				       .job = j->name,
				       .file = a->conf->file,
				       .ud = j,
				       .metrics = a->custom,
				       .dropped = on_dropped,
				       .shared = on_shared,
				       .warn = on_warning,
				       .inspect = a->opts.inspect ? on_inspect : NULL};
	if (!(j->relabel = relabel_new(&conf->relabel, e))) return false;
	if (!j->type->check(conf, j->relabel, e)) return false;
	j->pipeline = pipeline_new(conf->stages, &j->env, e);
	return j->pipeline != NULL;
}

static void job_fini(struct job *j)
{
	if (j->source) j->type->stop(j->source);
	if (j->timer) loop_timer_del(j->timer);
	pipeline_free(j->pipeline);
	relabel_free(j->relabel);
	arena_free(&j->arena);
	free(j->name);
}

static bool jobs_init(struct agent *a, struct err *e)
{
	struct job_conf *v = a->conf->jobs.v;

	a->jobs = mem_zalloc((a->conf->jobs.n + 1) * sizeof *a->jobs);
	for (size_t i = 0; i < a->conf->jobs.n; i++) {
		bool ok = job_init(&a->jobs[i], a, &v[i], e);
		a->njobs++;
		if (ok) continue;
		if (!e->line) e->line = v[i].line;
		return agent_config_place(a->conf, e);
	}
	return true;
}

bool agent_check(const struct agent_config *c, struct err *e)
{
	struct agent a = {
		.conf = c, .clock = &clock_real, .metrics = stats_new(), .custom = custom_metrics_new(&clock_real)};
	bool ok = jobs_init(&a, e);

	for (size_t i = 0; i < a.njobs; i++) job_fini(&a.jobs[i]);
	free(a.jobs);
	custom_metrics_free(a.custom);
	metrics_free(a.metrics);
	return ok;
}

/* ---- from a batch to the clients ---- */

/* Refills the bucket; how many of n entries may pass. Without dropping all pass, and reading waits for the debt. */
static size_t take_tokens(struct agent *a, size_t n)
{
	double rate = a->conf->limits.readline_rate, burst = (double)a->conf->limits.readline_burst;
	int64_t now = clock_mono(a->clock);

	if (!a->conf->limits.readline_rate_enabled) return n;
	a->tokens += (double)(now - a->tokens_at) / 1e9 * rate;
	a->tokens_at = now;
	if (a->tokens > burst) a->tokens = burst;
	if (a->conf->limits.readline_rate_drop && (double)n > a->tokens) {
		metrics_inc(a->metrics, STAT_RATE_LIMITED, (double)n - (a->tokens > 0 ? (double)(size_t)a->tokens : 0));
		n = a->tokens > 0 ? (size_t)a->tokens : 0;
	}
	a->tokens -= (double)n;
	return n;
}

static void print_entry(struct agent *a, const struct entry *e)
{
	buf_clear(&a->out);
	inspect_entry(e, a->colour_out, &a->out);
	fwrite(a->out.p, 1, a->out.n, stdout);
}

static void send_batch(struct agent *a, const struct batch *b)
{
	size_t pass = take_tokens(a, b->n);

	for (size_t c = 0; c < a->nclients; c++) client_begin(a->clients[c]);
	for (size_t i = 0; i < b->n; i++) {
		const struct entry *e = &b->v[i];
		if (i < pass && a->opts.dry_run) print_entry(a, e);
		if (i >= pass || a->opts.dry_run) settle_entry(e);
		for (size_t c = 0; i < pass && c < a->nclients; c++) client_add(a->clients[c], e);
	}
	if (a->opts.dry_run) fflush(stdout);
}

static void set_deadline(struct job *j)
{
	int64_t at = pipeline_deadline(j->pipeline), now = clock_mono(j->agent->clock);

	loop_timer_set(j->timer, at == INT64_MAX ? -1 : at > now ? at - now : 0);
}

static void on_deadline(void *ud)
{
	struct job *j = ud;
	struct batch b = {.arena = &j->arena};

	pipeline_tick(j->pipeline, &b);
	batch_compact(&b);
	send_batch(j->agent, &b);
	arena_reset(&j->arena);
	set_deadline(j);
	loop_timer_set(j->agent->pump_timer, 0); /* a stage may have room again */
}

/* ---- reading ---- */

static void on_pump(void *ud);

static bool must_wait(struct agent *a)
{
	bool full = false;

	if (a->stop_by) return true;
	for (size_t i = 0; i < a->nclients; i++) full |= client_full(a->clients[i]);
	if (full && !a->paused) metrics_inc(a->metrics, STAT_PAUSED, 1);
	a->paused = full;
	if (full) return true; /* on_room() goes on */
	if (!a->conf->limits.readline_rate_enabled || a->conf->limits.readline_rate_drop || take_tokens(a, 0) ||
	    a->tokens > 0)
		return false;
	loop_timer_set(a->pump_timer, (int64_t)((1 - a->tokens) / a->conf->limits.readline_rate * 1e9) + UNITS_MS);
	return true;
}

static void pump_job(struct job *j)
{
	struct batch b = {.arena = &j->arena};

	j->ready = j->type->pump(j->source, &b) == PUMP_MORE;
	if (b.n) {
		pipeline_run(j->pipeline, &b);
		batch_compact(&b);
		send_batch(j->agent, &b);
		set_deadline(j);
	}
	arena_reset(&j->arena);
}

/* Sources take turns; between some reads the loop gets to its descriptors. */
static void on_pump(void *ud)
{
	struct agent *a = ud;
	size_t idle = 0;

	for (int round = 0; round < PUMP_ROUNDS && idle < a->njobs;) {
		if (must_wait(a)) return;
		struct job *j = &a->jobs[a->turn++ % a->njobs];
		if (!j->ready || pipeline_full(j->pipeline)) { /* full: on_deadline() goes on */
			idle++;
			continue;
		}
		idle = 0;
		round++;
		pump_job(j);
	}
	if (idle < a->njobs) loop_timer_set(a->pump_timer, 0);
}

static void on_source_ready(void *ud)
{
	struct job *j = ud;

	if (j->ready) return;
	j->ready = true;
	loop_timer_set(j->agent->pump_timer, 0);
}

static void on_room(void *ud)
{
	struct agent *a = ud;

	loop_timer_set(a->pump_timer, 0);
}

/* ---- progress on disk ---- */

/* What a client is about to send must be found again with the same stamps. */
static void on_before_send(void *ud)
{
	struct agent *a = ud;
	struct err e = ERR_INIT;

	if (ledger_sync(a->ledger, &e)) {
		if (ledger_appended(a->ledger) > LEDGER_APPENDED) loop_timer_set(a->save_timer, 0);
		return;
	}
	metrics_inc(a->metrics, STAT_LEDGER_FAILURES, 1);
	log_error("stamps cannot be written down; lines may arrive twice after a crash", kv_err(&e));
}

/* Stages may hold lines for long: should their file be rotated while nobody reads, it must be known which it was. */
static void on_note(void *ud)
{
	struct agent *a = ud;

	if (!a->opts.dry_run) on_before_send(a);
	loop_timer_set(a->note_timer, NOTE_READ);
}

/* The offsets that the positions file will have, and had, tell later whether another program changed it. */
static void note_positions(struct agent *a)
{
	size_t n;
	struct ledger_file **f = ledger_files(a->ledger, &n);
	int64_t now = clock_wall(a->clock);

	for (size_t i = n; i-- > 0;) {
		if (a->saved) f[i]->yaml_before = f[i]->yaml;
		f[i]->yaml = positions_offset(a->positions, str_c(f[i]->path));
		if (f[i]->bound) continue;
		if (!f[i]->missing_since)
			f[i]->missing_since = now;
		else if (now - f[i]->missing_since > MISSING_KEPT)
			ledger_forget(a->ledger, f[i]);
	}
}

static void save(struct agent *a)
{
	struct err e = ERR_INIT;
	bool changed = !a->saved;

	if (a->opts.dry_run) return;
	for (size_t i = 0; i < a->njobs; i++) changed |= a->jobs[i].source && a->jobs[i].type->save(a->jobs[i].source);
	changed |= positions_prune(a->positions);
	if (!changed) return;
	note_positions(a);
	a->saved = ledger_save(a->ledger, &e) && positions_save(a->positions, &e);
	if (a->saved) return;
	metrics_inc(a->metrics, STAT_SAVE_FAILURES, 1);
	log_error("positions cannot be saved", kv_err(&e));
}

static void on_save(void *ud)
{
	struct agent *a = ud;

	save(a);
	loop_timer_set(a->save_timer, a->conf->positions.sync_period);
}

static void on_ready_check(void *ud)
{
	struct agent *a = ud;
	bool ready = false;

	for (size_t i = 0; i < a->njobs; i++) ready |= a->jobs[i].type->is_ready(a->jobs[i].source);
	admin_set_ready(a->admin, ready);
	loop_timer_set(a->ready_timer, READY_CHECK);
}

/* ---- stopping ---- */

static void on_stop_check(void *ud)
{
	struct agent *a = ud;
	bool idle = true;

	for (size_t i = 0; i < a->nclients; i++) idle &= client_idle(a->clients[i]);
	if (idle || clock_mono(a->clock) >= a->stop_by) {
		if (!idle) log_warn("stopping with unsent entries; they are read again at the next start");
		loop_stop(a->loop);
		return;
	}
	loop_timer_set(a->stop_timer, IDLE_CHECK);
}

/* Half a trace or half a container's line is no entry. What stages hold back is not acknowledged, so its rows are read
 * again at the next start and go with what follows them; it is sent only where nothing is read again. */
static void flush_job(struct job *j)
{
	struct batch b = {.arena = &j->arena};

	if (!j->type->once && !j->agent->opts.dry_run) return;
	pipeline_flush(j->pipeline, &b);
	batch_compact(&b);
	send_batch(j->agent, &b);
	arena_reset(&j->arena);
}

static void begin_stop(struct agent *a, int64_t grace)
{
	a->stop_by = clock_mono(a->clock) + grace;
	sd_notify(0, "STOPPING=1");
	for (size_t i = 0; i < a->njobs; i++) {
		if (a->jobs[i].timer) loop_timer_set(a->jobs[i].timer, -1);
		flush_job(&a->jobs[i]);
	}
	for (size_t i = 0; i < a->nclients; i++) client_flush(a->clients[i]);
	loop_timer_set(a->stop_timer, 0);
}

static void on_signal(void *ud, int sig)
{
	struct agent *a = ud;

	log_info("stopping", kv_c("signal", strsignal(sig)));
	if (a->stop_by)
		loop_stop(a->loop);
	else
		begin_stop(a, AGENT_GRACE);
}

/* Standard input cannot be read again: everything is sent, however long that takes. */
static void finish(void *ud)
{
	struct agent *a = ud;

	if (!a->stop_by) begin_stop(a, INT64_MAX / 2);
}

/* The batch with the last lines is still on its way to the clients. */
static void on_finished(void *ud)
{
	struct job *j = ud;

	loop_post(j->agent->loop, finish, j->agent);
}

/* ---- events and pages ---- */

static void on_changed(void *ud, struct str path)
{
	struct agent *a = ud;

	for (size_t i = 0; i < a->njobs; i++)
		if (a->jobs[i].source && a->jobs[i].type->changed) a->jobs[i].type->changed(a->jobs[i].source, path);
}

static void on_names(void *ud)
{
	struct agent *a = ud;

	for (size_t i = 0; i < a->njobs; i++)
		if (a->jobs[i].source && a->jobs[i].type->names) a->jobs[i].type->names(a->jobs[i].source);
}

static void on_overflow(void *ud)
{
	struct agent *a = ud;

	metrics_inc(a->metrics, STAT_WATCH_OVERFLOWS, 1);
	log_debug("inotify's queue overflowed; looking everywhere");
}

static void describe(void *ud, struct json_out *o)
{
	struct agent *a = ud;

	json_open(o, '{');
	json_key(o, STR("clients"));
	json_open(o, '[');
	for (size_t i = 0; i < a->nclients; i++) {
		json_open(o, '{');
		json_key(o, STR("name"));
		json_put_str(o, str_c(client_name(a->clients[i])));
		json_key(o, STR("host"));
		json_put_str(o, str_c(client_host(a->clients[i])));
		json_key(o, STR("queued_bytes"));
		json_put_u64(o, client_queued(a->clients[i]));
		json_close(o, '}');
	}
	json_close(o, ']');
	json_key(o, STR("jobs"));
	json_open(o, '[');
	for (size_t i = 0; i < a->njobs; i++) {
		json_open(o, '{');
		json_key(o, STR("job"));
		json_put_str(o, str_c(a->jobs[i].name));
		json_key(o, STR("targets"));
		json_open(o, '[');
		if (a->jobs[i].source) a->jobs[i].type->describe(a->jobs[i].source, o);
		json_close(o, ']');
		json_close(o, '}');
	}
	json_close(o, ']');
	json_close(o, '}');
}

/* ---- start ---- */

static void raise_file_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == r.rlim_max) return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) != 0)
		log_warn("the limit of open files cannot be raised", kv_i("limit", (int64_t)r.rlim_cur));
}

static bool start_clients(struct agent *a, struct err *e)
{
	const struct client_conf *v = a->conf->clients.v;
	struct client_env env = {.loop = a->loop,
				 .clock = a->clock,
				 .metrics = a->metrics,
				 .max_streams = (size_t)a->conf->limits.max_streams,
				 .max_line_size = a->conf->limits.max_line_size,
				 .truncate = a->conf->limits.max_line_size_truncate,
				 .before_send = on_before_send,
				 .room = on_room,
				 .ud = a};
	size_t n = a->opts.dry_run ? 0 : a->conf->clients.n;

	/* With several clients a long queue keeps one that is slow from holding up the others at once. */
	env.queue_bytes = n > 1 ? QUEUE_BYTES_SEVERAL : QUEUE_BYTES_ONE;
	if (!(a->http = httpc_new(a->loop, e))) return false;
	env.http = a->http;
	a->clients = mem_zalloc((n + 1) * sizeof *a->clients);
	a->names = mem_zalloc((n + 1) * sizeof *a->names);
	for (size_t i = 0; i < n; i++) {
		if (!(a->clients[i] = client_new(&v[i], i, &env, e))) return false;
		a->nclients++;
		a->names[a->nnames++] = client_name(a->clients[i]);
	}
	if (a->opts.dry_run) a->names[a->nnames++] = "dry-run";
	return true;
}

/* One agent per positions file. A directory that cannot be written is no reason not to ship. */
static bool lock_positions(struct agent *a, const char *path, struct err *e)
{
	const char *base = strrchr(path, '/');
	char *dir = base ? mem_strndup(path, (size_t)(base - path) + (base == path)) : mem_strdup(".");
	struct buf name = {0};
	struct err le = ERR_INIT;

	buf_printf(&name, "%s.lock", base ? base + 1 : path);
	a->lock = fs_lock(dir, buf_cstr(&name), &le);
	buf_free(&name);
	free(dir);
	if (a->lock >= 0) return true;
	if (le.code == ERR_EXISTS) {
		*e = le;
		return err_wrap(e, "another agent uses %s", path);
	}
	log_warn("the positions file cannot be locked", kv_err(&le));
	return true;
}

static bool open_progress(struct agent *a, struct err *e)
{
	char *path = mem_strndup(a->conf->positions.filename.p, a->conf->positions.filename.n);
	struct buf ledger = {0};

	buf_printf(&ledger, "%s.larch", path);
	bool ok = (a->opts.dry_run || lock_positions(a, path, e)) &&
		  (a->positions = positions_open(&fs_real, path, a->conf->positions.ignore_invalid, e)) &&
		  (a->ledger = ledger_open(&fs_real, buf_cstr(&ledger), e));
	buf_free(&ledger);
	free(path);
	return ok;
}

static bool start_jobs(struct agent *a, struct err *e)
{
	for (size_t i = 0; i < a->njobs; i++) {
		struct job *j = &a->jobs[i];
		j->timer = loop_timer_add(a->loop, -1, on_deadline, j);
		j->source_env = (struct source_env){.loop = a->loop,
						    .clock = a->clock,
						    .conf = a->conf,
						    .job = j->conf,
						    .relabel = j->relabel,
						    .metrics = a->metrics,
						    .ledger = a->ledger,
						    .positions = a->positions,
						    .watch = a->watch,
						    .clients = a->names,
						    .nclients = a->nnames,
						    .ready = on_source_ready,
						    .finished = on_finished,
						    .ud = j};
		j->source = j->type->start(&j->source_env, e);
		if (!j->source) return err_wrap(e, "scrape config \"%s\"", j->name);
	}
	return true;
}

static bool start_admin(struct agent *a, struct err *e)
{
	struct admin_env env = {&a->conf->server, a->loop, a->metrics, a->custom, NULL, describe, a};

	if (a->conf->server.disable || a->opts.dry_run) return true;
	promtail_print(a->conf, &a->config_text);
	env.config = buf_cstr(&a->config_text);
	return (a->admin = admin_start(&env, e));
}

static bool start_signals(struct agent *a, struct err *e)
{
	signal(SIGPIPE, SIG_IGN);
	return loop_signal(a->loop, SIGTERM, on_signal, a, e) && loop_signal(a->loop, SIGINT, on_signal, a, e) &&
	       loop_signal(a->loop, SIGHUP, on_signal, a, e);
}

static bool start(struct agent *a, struct err *e)
{
	struct str version = STR(LARCH_VERSION);
	struct err we = ERR_INIT;

	metrics_add(metrics_get(a->metrics, STAT_BUILD_INFO, &version), 1);
	if (!(a->loop = loop_new(a->clock, e)) || !start_signals(a, e)) return false;
	a->pump_timer = loop_timer_add(a->loop, -1, on_pump, a);
	a->stop_timer = loop_timer_add(a->loop, -1, on_stop_check, a);
	struct watch_fns fns = {on_changed, on_names, on_overflow, a};
	a->watch = watch_new(a->loop, &fns, &we);
	if (!a->watch) log_warn("files are polled, since inotify does not work", kv_err(&we));
	raise_file_limit();
	if (!jobs_init(a, e) || !start_clients(a, e) || !open_progress(a, e) || !start_admin(a, e) || !start_jobs(a, e))
		return false;
	a->save_timer = loop_timer_add(
		a->loop, UNITS_SEC < a->conf->positions.sync_period ? UNITS_SEC : a->conf->positions.sync_period,
		on_save, a);
	a->note_timer = loop_timer_add(a->loop, NOTE_READ, on_note, a);
	a->ready_timer = loop_timer_add(a->loop, 0, on_ready_check, a);
	return true;
}

static void stop(struct agent *a)
{
	if (a->loop) admin_stop(a->admin);
	if (a->positions && a->ledger) save(a);
	for (size_t i = 0; i < a->nclients; i++) client_free(a->clients[i]);
	httpc_free(a->http);
	for (size_t i = 0; i < a->njobs; i++) job_fini(&a->jobs[i]);
	watch_free(a->watch);
	if (a->pump_timer) loop_timer_del(a->pump_timer);
	if (a->save_timer) loop_timer_del(a->save_timer);
	if (a->note_timer) loop_timer_del(a->note_timer);
	if (a->ready_timer) loop_timer_del(a->ready_timer);
	if (a->stop_timer) loop_timer_del(a->stop_timer);
	loop_free(a->loop);
	ledger_free(a->ledger);
	positions_free(a->positions);
	custom_metrics_free(a->custom);
	metrics_free(a->metrics);
	if (a->lock >= 0) fs_unlock(a->lock);
	buf_free(&a->config_text);
	buf_free(&a->out);
	free(a->clients);
	free(a->names);
	free(a->jobs);
}

bool agent_run(const struct agent_config *c, const struct agent_opts *o, struct err *e)
{
	struct agent a = {.conf = c,
			  .opts = *o,
			  .clock = &clock_real,
			  .metrics = stats_new(),
			  .custom = custom_metrics_new(&clock_real),
			  .lock = -1,
			  .saved = true,
			  .tokens = (double)c->limits.readline_burst,
			  .colour_out = isatty(STDOUT_FILENO),
			  .colour_err = isatty(STDERR_FILENO)};

	a.tokens_at = clock_mono(a.clock);
	bool ok = start(&a, e);
	if (ok) {
		log_info("started", kv_c("version", LARCH_VERSION), kv_i("jobs", (int64_t)a.njobs),
			 kv_i("clients", (int64_t)a.nclients));
		sd_notify(0, "READY=1");
		ok = loop_run(a.loop, e);
	}
	stop(&a);
	if (ok) log_info("stopped");
	return ok;
}
