/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/pipeline/stage_run.h"

#define STAGE "[{multiline: {firstline: '^S'}}]"

static void open_stages(struct stage_run *r, const char *stages)
{
	if (!stage_run_open(r, stages, NULL)) fail_msg("%s", r->e.msg);
}

static void joins(void **state)
{
	(void)state;
	check_stages(STAGE, LINES("orphan", "S1", " a", " b", "S2", "S3", " c"),
		     "{job=\"t\"} orphan\n{job=\"t\"} S1\n a\n b @2000000000 from 2,3,4\n{job=\"t\"} S2\n"
		     "{job=\"t\"} S3\n c @6000000000 from 6,7\n");
}

static void a_block_goes_on_in_the_next_batch(void **state)
{
	(void)state;
	struct stage_run r;
	open_stages(&r, STAGE);
	check_text(stage_run_lines(&r, LINES("S1", "a")), "");
	check_text(stage_run_lines(&r, LINES("b")), "");
	check_text(stage_run_lines(&r, LINES("c", "S2")), "{job=\"t\"} S1\na\nb\nc @1000000000 from 1,2,3,4\n");
	check_text(stage_run_lines(&r, LINES("S3")), "{job=\"t\"} S2\n");
	check_text(stage_run_flush(&r), "{job=\"t\"} S3\n");
	check_text(stage_run_flush(&r), "");
	check_text(stage_run_lines(&r, LINES("d")), "{job=\"t\"} d\n"); /* all is forgotten */
	check_text(buf_cstr(&r.dropped), "");
	stage_run_close(&r);
}

static void idle_blocks_are_sent(void **state)
{
	(void)state;
	struct stage_run r;
	open_stages(&r, "[{multiline: {firstline: '^S', max_wait_time: 1s}}, {regex: {expression: '(?P<l>\\w)$'}}, "
			"{labels: {l: }}]");
	assert_true(pipeline_deadline(r.p) == INT64_MAX);
	stage_run_lines(&r, LINES("S1", "a"));
	assert_true(pipeline_deadline(r.p) == r.clock.mono_ns + UNITS_SEC);
	clock_fake_step(&r.clock, UNITS_SEC - 1);
	check_text(stage_run_tick(&r), "");
	clock_fake_step(&r.clock, 1);
	check_text(stage_run_tick(&r),
		   "{job=\"t\", l=\"a\"} S1\na @1000000000 from 1,2\n"); /* through the other stages */
	assert_true(pipeline_deadline(r.p) == INT64_MAX);
	check_text(stage_run_lines(&r, LINES("late")), ""); /* a block under the first line's time */
	clock_fake_step(&r.clock, UNITS_SEC);
	check_text(stage_run_tick(&r), "{job=\"t\", l=\"e\"} late @1000000000\n");
	stage_run_close(&r);
}

static void max_lines_ends_a_block(void **state)
{
	(void)state;
	check_stages("[{multiline: {firstline: '^S', max_lines: '2'}}]", LINES("S1", "a", "b", "c", "d", "S2"),
		     "{job=\"t\"} S1\na @1000000000 from 1,2\n{job=\"t\"} b\nc @1000000000 from 3,4\n"
		     "{job=\"t\"} d @1000000000\n{job=\"t\"} S2\n");
	check_stages("[{multiline: {firstline: '^S', max_lines: 1}}]", LINES("S1", "", "b"),
		     "{job=\"t\"} S1\n{job=\"t\"} b @1000000000\n");
}

static void empty_lines(void **state)
{
	(void)state;
	check_stages("[{multiline: {firstline: '^(S|$)'}}]", LINES("S", "", "", "S"), "{job=\"t\"} S\n{job=\"t\"} S\n");
	check_stages(STAGE, LINES("S", "", "b", ""), "{job=\"t\"} S\n\nb\n @1000000000 from 1,2,3,4\n");
}

static void one_block_per_label_set(void **state)
{
	(void)state;
	struct stage_run r;
	open_stages(&r, "[{regex: {expression: '(?P<l>\\w)$'}}, {labels: {l: }}, {multiline: {firstline: '^S'}}]");
	check_text(stage_run_lines(&r, LINES("S a", "S b", "x a", "y b", "z a")), "");
	check_text(stage_run_lines(&r, LINES("S b")), "{job=\"t\", l=\"b\"} S b\ny b @2000000000 from 2,4\n");
	check_text(stage_run_flush(&r),
		   "{job=\"t\", l=\"a\"} S a\nx a\nz a @1000000000 from 1,3,5\n{job=\"t\", l=\"b\"} S b\n");
	stage_run_close(&r);
}

/* As programs print them. The first line is a log line, or the place of what is uncaught; all others go with it. */
static const struct {
	const char *preset, *what, *text;
} traces[] = {
	{"java", "a cause with a cause",
	 "2026-11-01 10:00:00,123 ERROR [http-nio-8080-exec-1] c.e.shop.OrderController : order failed\n"
	 "org.springframework.web.util.NestedServletException: Request processing failed; nested exception is "
	 "java.lang.IllegalStateException: no stock\n"
	 "\tat org.springframework.web.servlet.FrameworkServlet.processRequest(FrameworkServlet.java:1014)\n"
	 "\tat java.base/java.lang.Thread.run(Thread.java:829)\n"
	 "\tSuppressed: java.lang.RuntimeException: close failed\n"
	 "\t\tat com.example.Pool.close(Pool.java:31)\n"
	 "\t\t... 2 more\n"
	 "Caused by: java.lang.IllegalStateException: no stock\n"
	 "\tat com.example.shop.Stock.take(Stock.java:42)\n"
	 "\t... 54 common frames omitted\n"
	 "Caused by: java.sql.SQLTimeoutException\n"
	 "\tat com.example.shop.Db.query(Db.java:7)\n"
	 "\t... 55 common frames omitted\n"
	 ""},
	{"java", "the root cause first",
	 "10:00:00.123 [main] ERROR com.example.App - boom\n"
	 "java.io.IOException: disk\n"
	 "\tat com.example.Disk.read(Disk.java:3)\n"
	 "Wrapped by: com.example.AppError$Fatal: cannot start\n"
	 "\tat com.example.App.main(App.java:9)"},
	{"java", "Hadoop's",
	 "2015-10-18 18:06:26,939 WARN [LeaseRenewer:msrabi@msra-sa-41:9000] org.apache.hadoop.ipc.Client: Exception "
	 "encountered\n"
	 "java.net.NoRouteToHostException: No Route to Host from  MININT-FNANLI5/127.0.0.1 to msra-sa-41:9000 failed "
	 "on socket timeout exception: java.net.NoRouteToHostException: No route to host: no further information; For "
	 "more details see:  http://wiki.apache.org/hadoop/NoRouteToHost\n"
	 "\tat sun.reflect.NativeConstructorAccessorImpl.newInstance0(Native Method)\n"
	 "\tat org.apache.hadoop.net.NetUtils.wrapException(NetUtils.java:791)\n"
	 "Caused by: java.net.NoRouteToHostException: No route to host: no further information\n"
	 "\tat sun.nio.ch.SocketChannelImpl.checkConnect(Native Method)"},
	{"python", "chained exceptions",
	 "ERROR:root:request failed\n"
	 "Traceback (most recent call last):\n"
	 "  File \"/app/db.py\", line 12, in query\n"
	 "    return cursor.execute(sql)\n"
	 "           ^^^^^^^^^^^^^^^^^^^\n"
	 "psycopg2.errors.UndefinedTable: relation \"orders\" does not exist\n"
	 "\n"
	 "The above exception was the direct cause of the following exception:\n"
	 "\n"
	 "Traceback (most recent call last):\n"
	 "  File \"/app/views.py\", line 40, in get\n"
	 "    rows = query(\"select 1\")\n"
	 "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) relation \"orders\" does not exist\n"
	 "[SQL: select * from orders]\n"
	 "(Background on this error at: https://sqlalche.me/e/14/f405)\n"
	 "\n"
	 "During handling of the above exception, another exception occurred:\n"
	 "\n"
	 "Traceback (most recent call last):\n"
	 "  File \"/app/views.py\", line 44, in get\n"
	 "    raise Exception(\"gave up\")\n"
	 "Exception: gave up"},
	{"python", "names without Error, and groups",
	 "2026-11-01 10:00:00 ERROR worker died\n"
	 "Traceback (most recent call last):\n"
	 "  File \"/app/w.py\", line 1, in <module>\n"
	 "  [Previous line repeated 996 more times]\n"
	 "requests.exceptions.ConnectTimeout: HTTPConnectionPool(host='a', port=80): Max retries exceeded\n"
	 "  + Exception Group Traceback (most recent call last):\n"
	 "  |   File \"/app/w.py\", line 9, in <module>\n"
	 "  | ExceptionGroup: two failed (2 sub-exceptions)\n"
	 "  +-+---------------- 1 ----------------\n"
	 "    | ValueError: a\n"
	 "    +------------------------------------\n"
	 "KeyboardInterrupt\n"
	 "SystemExit: 1"},
	{"python", "faulthandler",
	 "Fatal Python error: Segmentation fault\n"
	 "\n"
	 "Current thread 0x00007f2b1c0d9740 (most recent call first):\n"
	 "  File \"/app/c.py\", line 3 in crash\n"
	 "Thread 0x00007f2b1a7fc700 (most recent call first):\n"
	 "  File \"/usr/lib/python3.11/threading.py\", line 320 in wait"},
	{"go", "a panic in a handler",
	 "panic: runtime error: invalid memory address or nil pointer dereference [recovered]\n"
	 "\tpanic: again\n"
	 "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x6a1b2c]\n"
	 "\n"
	 "goroutine 35 [running]:\n"
	 "panic({0x6c4a40?, 0x8d4f10?})\n"
	 "\t/usr/local/go/src/runtime/panic.go:884 +0x213\n"
	 "net/http.HandlerFunc.ServeHTTP(0xc0000b2000?, {0x7f8b50?, 0xc0001a20e0?}, 0x0?)\n"
	 "\t/usr/local/go/src/net/http/server.go:2122 +0x2f\n"
	 "main.(*Cache[...]).Get(...)\n"
	 "\t/app/cache.go:17\n"
	 "github.com/example/app/v2.(*Server).handle.func1()\n"
	 "\t/app/server.go:31 +0x1d\n"
	 "gopkg.in/yaml%2ev3.unmarshal({0xc000, 0x1, 0x2})\n"
	 "\t/go/pkg/mod/gopkg.in/yaml.v3/yaml.go:161 +0x306\n"
	 "created by net/http.(*Server).Serve in goroutine 1\n"
	 "\t/usr/local/go/src/net/http/server.go:3089 +0x5ed\n"
	 "exit status 2"},
	{"go", "a dump of all goroutines",
	 "SIGQUIT: quit\n"
	 "PC=0x46f541 m=0 sigcode=0\n"
	 "\n"
	 "goroutine 1 gp=0xc0000061c0 m=nil [select, 5 minutes, locked to thread]:\n"
	 "runtime.gopark(0xc000123f20?, 0x2?, 0x0?, 0x0?, 0xc000123e9c?)\n"
	 "\t/usr/local/go/src/runtime/proc.go:381 +0xd6\n"
	 "main.main()\n"
	 "\t/app/main.go:88 +0x445\n"
	 "\n"
	 "goroutine 18 [chan receive]:\n"
	 "main.worker(0xc000022120)\n"
	 "\t/app/main.go:20 +0x65\n"
	 "...additional frames elided...\n"
	 "created by main.main\n"
	 "\t/app/main.go:60 +0x2a5\n"
	 "\n"
	 "rax    0xca\n"
	 "rip    0x46f541\n"
	 "rflags 0x286\n"
	 "cs     0x33"},
	{"node", "an uncaught error with a cause",
	 "/app/index.js:3\n"
	 "    throw new TypeError('x', { cause: err });\n"
	 "    ^\n"
	 "\n"
	 "TypeError: x\n"
	 "    at Object.<anonymous> (/app/index.js:3:9)\n"
	 "    at node:internal/main/run_main_module:23:47 {\n"
	 "  code: 'ENOENT',\n"
	 "  [cause]: Error: connect ECONNREFUSED 127.0.0.1:5432\n"
	 "      at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1494:16) {\n"
	 "    errno: -111\n"
	 "  }\n"
	 "}\n"
	 "\n"
	 "Node.js v18.12.1"},
	{"node", "in a logger's line",
	 "{\"level\":\"error\",\"message\":\"request failed\"}\n"
	 "Error [ERR_HTTP_HEADERS_SENT]: Cannot set headers after they are sent to the client\n"
	 "    at new NodeError (node:internal/errors:393:5)\n"
	 "From previous event:\n"
	 "    at Promise.then (/app/node_modules/bluebird/js/release/promise.js:94:17)"},
	{"ruby", "an error with a cause",
	 "E, [2026-11-01T10:00:00.123456 #1] ERROR -- : job failed\n"
	 "app.rb:5:in `rescue in work': second (RuntimeError)\n"
	 "\tfrom app.rb:2:in `work'\n"
	 "\tfrom app.rb:9:in `<main>'\n"
	 "app.rb:3:in `work': divided by 0 (ZeroDivisionError)\n"
	 "\tfrom app.rb:9:in `<main>'"},
	{"ruby", "Rails'",
	 "F, [2026-11-01T10:00:00.123456 #1] FATAL -- : [b5e1]\n"
	 "ActiveRecord::RecordNotFound (Couldn't find User with 'id'=7):\n"
	 "  \n"
	 "app/controllers/users_controller.rb:12:in `show'\n"
	 "/usr/lib/ruby/gems/3.2.0/gems/rack-2.2.4/lib/rack/runtime.rb:22:in 'Rack::Runtime#call'\n"
	 "Causes:\n"
	 "PG::ConnectionBad (could not connect):\n"
	 "  app/models/user.rb:1:in `find'"},
	{"dotnet", "inner exceptions",
	 "Unhandled exception. System.AggregateException: One or more errors occurred. (inner)\n"
	 " ---> System.Net.Http.HttpRequestException: inner\n"
	 " ---> System.Net.Sockets.SocketException (111): Connection refused\n"
	 "   at System.Net.Sockets.Socket.AwaitableSocketAsyncEventArgs.ThrowException(SocketError error, "
	 "CancellationToken cancellationToken)\n"
	 "   --- End of inner exception stack trace ---\n"
	 "   at App.Program.Main(String[] args) in /app/Program.cs:line 8\n"
	 "--- End of stack trace from previous location ---\n"
	 "   at System.Threading.Tasks.Task.Wait()"},
	{"dotnet", "ASP.NET's",
	 "fail: Microsoft.AspNetCore.Server.Kestrel[13]\n"
	 "      Connection id \"0HM\", Request id \"0HM:00000002\": An unhandled exception was thrown by the "
	 "application.\n"
	 "System.Data.SqlClient.SqlException (0x80131904): Login failed for user 'app'.\n"
	 "   at System.Data.SqlClient.SqlInternalConnection.OnError(SqlException exception)\n"
	 "ClientConnectionId:7d1b1f5e-0000-0000-0000-000000000000\n"
	 "Error Number:18456,State:1,Class:14\n"
	 "System.IO.FileNotFoundException: Could not load file\n"
	 "File name: 'App, Version=1.0.0.0'"},
};

static void presets_keep_traces_together(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(traces); i++) {
		char stages[64];
		struct stage_run r;
		struct buf got = {0};
		struct str rest = str_c(traces[i].text), line;
		snprintf(stages, sizeof stages, "[{multiline: {preset: %s}}]", traces[i].preset);
		open_stages(&r, stages);
		buf_c(&got, stage_run_lines(&r, LINES("2026-11-01 INFO before")));
		for (bool more = true; more;) { /* each line in a batch of its own */
			more = str_cut(&rest, '\n', &line);
			buf_c(&got, stage_run_lines(&r, LINES(arena_cstr(&r.conf, line))));
		}
		check_text(buf_cstr(&got), "{job=\"t\"} 2026-11-01 INFO before\n");
		buf_clear(&got);
		const char *out = stage_run_lines(&r, LINES("2026-11-01 INFO next"));
		buf_printf(&got, "{job=\"t\"} %s @2000000000 from 2", traces[i].text);
		if (strncmp(out, buf_cstr(&got), got.n) != 0)
			fail_msg("%s, %s:\ngot  %s\nwant %s", traces[i].preset, traces[i].what, out, buf_cstr(&got));
		check_text(stage_run_flush(&r), "{job=\"t\"} 2026-11-01 INFO next\n");
		buf_free(&got);
		stage_run_close(&r);
	}
}

/* Lines of logs are no traces, whatever they tell of. */
static void presets_leave_log_lines_alone(void **state)
{
	static const char *const names[] = {"java", "python", "go", "node", "ruby", "dotnet"};
	static const char *const lines[] = {
		"2026-11-01 10:00:00 ERROR java.lang.IllegalStateException: x",
		"INFO [main] com.example.App - Caused by: nobody",
		"ERROR:root:ValueError: bad",
		"level=error msg=\"panic: no\" goroutine=7",
		"time=\"2026-11-01\" level=info msg=main.main()",
		"[2026-11-01 10:00:00] app.ERROR: failed",
		"10.0.0.1 - - [01/Nov/2026:10:00:00 +0000] \"GET /x(1) HTTP/1.1\" 200 5",
		"<13>Nov  1 10:00:00 host app[7]: created by nobody",
		"Nov  1 10:00:00 host kernel: [12.3] rax: 0x1",
		"{\"level\":\"error\",\"stack\":\"Error: x\"}",
		"Exception in thread \"main\" java.lang.Error: x",
		"Started GET \"/users\" for 127.0.0.1",
	};
	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		char stages[64];
		struct stage_run r;
		snprintf(stages, sizeof stages, "[{multiline: {preset: %s}}]", names[i]);
		open_stages(&r, stages);
		for (size_t k = 0; k < COUNT(lines); k++) {
			const char *out = stage_run_lines(&r, LINES(lines[k]));
			if (k && !*out) fail_msg("%s: %s went with the line before", names[i], lines[k]);
		}
		stage_run_close(&r);
	}
}

static void a_preset_needs_no_line_before(void **state)
{
	(void)state;
	struct stage_run r;
	check_stages("[{multiline: {preset: python}}]",
		     LINES("Traceback (most recent call last):", "  File \"a.py\", line 1", "ValueError: bad", "next"),
		     "{job=\"t\"} Traceback (most recent call last):\n  File \"a.py\", line 1\nValueError: bad "
		     "@1000000000 from 1,2,3\n{job=\"t\"} next\n");
	open_stages(&r, "[{multiline: {preset: java, max_wait_time: 1s}}]");
	check_text(stage_run_lines(&r, LINES("one")), "");
	clock_fake_step(&r.clock, UNITS_SEC);
	check_text(stage_run_tick(&r), "{job=\"t\"} one\n");
	check_text(stage_run_lines(&r, LINES("\tat a.B.c(B.java:1)")), ""); /* long after: not under that time */
	check_text(stage_run_flush(&r), "{job=\"t\"} \tat a.B.c(B.java:1)\n");
	stage_run_close(&r);
}

static void refuses(void **state)
{
	(void)state;
	check_refused("[{multiline: {max_lines: 2}}]",
		      "agent.yaml:1:14: stage multiline: firstline must be set: an expression that matches the first "
		      "line of an entry, as '^\\d{4}-'; or a preset such as java");
	check_refused("[{multiline: {firstline: a, max_wait_time: xx}}]",
		      "agent.yaml:1:44: stage multiline: max_wait_time: time: invalid duration \"xx\"");
	check_refused("[{multiline: {firstline: a, preset: java}}]",
		      "agent.yaml:1:37: stage multiline: set firstline or preset, not both");
	check_refused("[{multiline: {firstline: '('}}]",
		      "agent.yaml:1:26: stage multiline: firstline: error parsing regexp: missing closing ): `(`");
}

static void in_alloy(void **state)
{
	(void)state;
	struct stage_run r;
	check_stages(ALLOY "[{multiline: {firstline: '^S'}}]", LINES("S1\r\n", "a\r", "b"),
		     "{job=\"t\"} S1\na\nb @1000000000 from 1,2,3\n");
	check_stages(ALLOY "[{multiline: {firstline: '^S', trim_newlines: false}}]", LINES("S1\r", "a"),
		     "{job=\"t\"} S1\r\na @1000000000 from 1,2\n");
	check_stages(ALLOY "[{multiline: {firstline: '^(S|$)'}}]", LINES("", "S"), "{job=\"t\"} \n{job=\"t\"} S\n");
	open_stages(&r, ALLOY "[{multiline: {firstline: '^S', max_wait_time: 1s, max_lines: 2}}]");
	check_text(stage_run_lines(&r, LINES("S1", "a")), "{job=\"t\"} S1\na @1000000000 from 1,2\n");
	clock_fake_step(&r.clock, UNITS_SEC);
	assert_true(pipeline_deadline(r.p) <= r.clock.mono_ns);
	check_text(stage_run_tick(&r), "");
	check_text(stage_run_lines(&r, LINES("late")), "{job=\"t\"} late\n"); /* the stream was forgotten */
	assert_true(pipeline_deadline(r.p) == INT64_MAX);
	stage_run_close(&r);
	check_refused(ALLOY "[{multiline: {firstline: a, max_wait_time: 0s}}]",
		      "agent.yaml:2:44: stage multiline: max_wait_time must be greater than 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins),
		cmocka_unit_test(a_block_goes_on_in_the_next_batch),
		cmocka_unit_test(idle_blocks_are_sent),
		cmocka_unit_test(max_lines_ends_a_block),
		cmocka_unit_test(empty_lines),
		cmocka_unit_test(one_block_per_label_set),
		cmocka_unit_test(presets_keep_traces_together),
		cmocka_unit_test(presets_leave_log_lines_alone),
		cmocka_unit_test(a_preset_needs_no_line_before),
		cmocka_unit_test(refuses),
		cmocka_unit_test(in_alloy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
