/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compiling, and running what is compiled: an interpreter over the tree. Every evaluation goes by the rules of Go's
 * text/template/exec.go, with its messages. */
#include "common/regex.h"
#include "pipeline/template_funcs.h"

#include <stdlib.h>

/* ---- compiling ---- */

static int func_cmp(const void *name, const void *row)
{
	return str_cmp(*(const struct str *)name, str_c(((const struct template_func *)row)->name));
}

const struct template_func *template_find_func(const struct template_funcs *funcs, struct str name)
{
	const struct template_func *f = bsearch(&name, funcs->v, funcs->n, sizeof *funcs->v, func_cmp);
	return f ? f : bsearch(&name, template_builtins, template_n_builtins, sizeof *template_builtins, func_cmp);
}

/* Is the action just {{.name}}? */
static bool is_plain_field(const struct tnode *n)
{
	if (n->kind != TN_ACTION || n->pipe->n_name || n->pipe->n_kid != 1) return false;
	const struct tnode *c = n->pipe->kid[0];
	return c->n_kid == 1 && c->kid[0]->kind == TN_FIELD && c->kid[0]->n_name == 1;
}

struct caps { /* of the arrays being filled */
	size_t fields, regexes;
};

static void note_field(struct template *t, struct str name, size_t *cap)
{
	for (size_t i = 0; i < t->n_fields; i++)
		if (str_eq(t->fields[i], name)) return;
	*ARENA_PUSH(&t->a, t->fields, t->n_fields, *cap) = name;
}

/* Constant expressions are compiled once. A bad one is an error of the call, when it comes to it. */
static void compile_regex(struct template *t, const struct tnode *c, size_t *cap)
{
	struct err bad = ERR_INIT;
	if (c->kid[0]->kind != TN_FUNC || c->n_kid < 2 || c->kid[1]->kind != TN_STRING) return;
	const char *name = c->kid[0]->fn->name;
	if (strncmp(name, "regex", 5) != 0 && strcmp(name, "count") != 0) return;
	struct regex *re = regex_new(c->kid[1]->val.s, 0, &bad);
	if (re) *ARENA_PUSH(&t->a, t->regexes, t->n_regexes, *cap) = re;
}

struct regex *template_regex_get(struct template_run *r, struct str pattern, struct err *e)
{
	for (size_t i = 0; i < r->t->n_regexes; i++)
		if (str_eq(regex_source(r->t->regexes[i]), pattern)) return regex_ref(r->t->regexes[i]);
	return regex_new(pattern, 0, e);
}

/* Which members of the dot does the tree read? Fields count wherever they stand, even where the dot is another value:
 * more than is read does no harm. A dot or $ on its own lets all of it out. */
static void note_reads(struct template *t, const struct tnode *n, struct caps *caps)
{
	size_t *cap = &caps->fields;
	if (!n) return;
	if (n->kind == TN_COMMAND) compile_regex(t, n, &caps->regexes);
	if (n->kind == TN_FIELD) note_field(t, n->name[0], cap);
	if (n->kind == TN_DOT || (n->kind == TN_VARIABLE && n->name[0].n == 1 && n->n_name == 1)) t->any_field = true;
	if (n->kind == TN_VARIABLE && n->name[0].n == 1 && n->n_name > 1) note_field(t, n->name[1], cap);
	if (n->kind == TN_FUNC && strcmp(n->fn->name, "__line__") == 0) t->uses_line = true;
	for (uint32_t i = 0; i < n->n_kid; i++) note_reads(t, n->kid[i], caps);
	note_reads(t, n->pipe, caps);
	note_reads(t, n->list, caps);
	note_reads(t, n->otherwise, caps);
}

struct template *template_compile(struct str text, const char *name, const struct template_funcs *funcs, struct err *e)
{
	struct template *t = mem_zalloc(sizeof *t);
	struct caps caps = {0};
	arena_init(&t->a, 0);
	t->text = arena_str(&t->a, text);
	t->name = arena_cstr(&t->a, str_c(name));
	t->funcs = funcs;
	if (!template_parse(t, e)) {
		template_free(t);
		return NULL;
	}
	t->plain = true;
	for (uint32_t i = 0; i < t->root->n_kid; i++)
		if (t->root->kid[i]->kind != TN_TEXT && !is_plain_field(t->root->kid[i])) t->plain = false;
	note_reads(t, t->root, &caps);
	for (struct map_slot *s = NULL; (s = map_next(&t->defined, s));) note_reads(t, s->val, &caps);
	return t;
}

void template_free(struct template *t)
{
	if (!t) return;
	for (size_t i = 0; i < t->n_regexes; i++) regex_free(t->regexes[i]);
	map_free(&t->defined);
	arena_free(&t->a);
	free(t);
}

bool template_fields(const struct template *t, const struct str **names, size_t *n)
{
	*names = t->fields;
	*n = t->n_fields;
	return !t->any_field;
}

bool template_uses_line(const struct template *t) { return t->uses_line; }

/* ---- printing nodes, for messages ---- */

static void print_joined(struct buf *b, const struct tnode *n, const char *between)
{
	for (uint32_t i = 0; i < n->n_kid; i++) {
		if (i) buf_c(b, between);
		bool parens = n->kind == TN_COMMAND && n->kid[i]->kind == TN_PIPE;
		if (parens) buf_ch(b, '(');
		tnode_print(b, n->kid[i]);
		if (parens) buf_ch(b, ')');
	}
}

void tnode_print(struct buf *b, const struct tnode *n)
{
	switch (n->kind) {
	case TN_PIPE:
		for (uint32_t i = 0; i < n->n_name; i++) {
			if (i) buf_c(b, ", ");
			buf_str(b, n->name[i]);
		}
		if (n->n_name) buf_c(b, n->assign ? " = " : " := ");
		print_joined(b, n, " | ");
		break;
	case TN_COMMAND: print_joined(b, n, " "); break;
	case TN_CHAIN:
		if (n->kid[0]->kind == TN_PIPE) buf_ch(b, '(');
		tnode_print(b, n->kid[0]);
		if (n->kid[0]->kind == TN_PIPE) buf_ch(b, ')');
		for (uint32_t i = 0; i < n->n_name; i++) {
			buf_ch(b, '.');
			buf_str(b, n->name[i]);
		}
		break;
	case TN_FIELD:
	case TN_VARIABLE:
		for (uint32_t i = 0; i < n->n_name; i++) {
			if (i || n->kind == TN_FIELD) buf_ch(b, '.');
			buf_str(b, n->name[i]);
		}
		break;
	case TN_TEMPLATE:
		buf_c(b, "{{template ");
		buf_quote(b, n->text);
		if (n->pipe) {
			buf_ch(b, ' ');
			tnode_print(b, n->pipe);
		}
		buf_c(b, "}}");
		break;
	case TN_ACTION:
		buf_c(b, "{{");
		tnode_print(b, n->pipe);
		buf_c(b, "}}");
		break;
	default: buf_str(b, n->text); break;
	}
}

/* ---- running ---- */

/* "template: line:1:3: executing "line" at <duration "zz">: MSG"; the place is where the node at work begins. */
static bool fail(struct template_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct template_run *r, const char *fmt, ...)
{
	struct str before = str_sub(r->t->text, 0, r->node ? r->node->pos : 0);
	ssize_t nl = str_rchr(before, '\n');
	size_t line = 1, col = before.n - (size_t)(nl + 1);
	struct buf context = {0}, msg = {0}, name = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&msg, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < before.n; i++) line += before.p[i] == '\n';
	if (r->node) tnode_print(&context, r->node);
	if (context.n > 20) {
		context.n = 20;
		buf_c(&context, "...");
	}
	buf_quote(&name, r->executing);
	err_set(r->e, ERR_INVALID, "template: %s:%zu:%zu: executing %.*s at <%.*s>: %.*s", r->t->name, line, col,
		STR_ARG(buf_view(&name)), STR_ARG(buf_view(&context)), STR_ARG(buf_view(&msg)));
	buf_free(&context);
	buf_free(&msg);
	buf_free(&name);
	return false;
}

static bool step(struct template_run *r, const struct tnode *n)
{
	r->node = n;
	if (++r->steps > TEMPLATE_MAX_STEPS)
		return fail(r, "template runs too long (limit %d steps)", TEMPLATE_MAX_STEPS);
	if (r->out->n - r->from > TEMPLATE_MAX_OUTPUT)
		return fail(r, "output too large (limit %d bytes)", TEMPLATE_MAX_OUTPUT);
	return true;
}

static bool eval_pipe(struct template_run *r, const struct tval *dot, const struct tnode *pipe, struct tval *out);
static bool eval_call(struct template_run *r, const struct tval *dot, const struct tnode *fn, const struct tnode *at,
		      struct tnode *const *args, size_t n, const struct tval *final, struct tval *out);

static void push_var(struct template_run *r, struct str name, struct tval v)
{
	*ARENA_PUSH(r->a, r->vars, r->n_vars, r->cap_vars) = (struct tvar){name, v};
}

static struct tvar *find_var(struct template_run *r, struct str name)
{
	for (size_t i = r->n_vars; i-- > 0;)
		if (str_eq(r->vars[i].name, name)) return &r->vars[i];
	return &r->vars[0]; /* the parser has checked that it is declared */
}

static bool not_a_function(struct template_run *r, const struct tnode *n, size_t n_args, const struct tval *final)
{
	if (n_args <= 1 && !final) return true;
	struct buf b = {0};
	tnode_print(&b, n);
	fail(r, "can't give argument to non-function %.*s", STR_ARG(buf_view(&b)));
	buf_free(&b);
	return false;
}

/* v.name, for one name. */
static bool eval_field(struct template_run *r, const struct tval *v, struct str name, struct tval *out)
{
	switch (v->kind) {
	case TVAL_NIL: *out = TVAL_NOTHING; return true;
	case TVAL_DATA:
	case TVAL_MAP: tval_member(r, v, name, out); return true;
	default: return fail(r, "can't evaluate field %.*s in type %s", STR_ARG(name), tval_type(v));
	}
}

static bool eval_fields(struct template_run *r, struct tval v, const struct tnode *n, uint32_t first, size_t n_args,
			const struct tval *final, struct tval *out)
{
	r->node = n;
	for (uint32_t i = first; i < n->n_name; i++) {
		bool last = i + 1 == n->n_name;
		if (last && (n_args > 1 || final) && (v.kind == TVAL_MAP || v.kind == TVAL_DATA))
			return fail(r, "%.*s is not a method but has arguments", STR_ARG(n->name[i]));
		if (!eval_field(r, &v, n->name[i], &v)) return false;
	}
	*out = v;
	return true;
}

static bool eval_operand(struct template_run *r, const struct tval *dot, const struct tnode *n, struct tval *out);

/* The first word of a command with what follows it. */
static bool eval_command(struct template_run *r, const struct tval *dot, const struct tnode *c,
			 const struct tval *final, struct tval *out)
{
	const struct tnode *n = c->kid[0];
	if (!step(r, n)) return false;
	switch (n->kind) {
	case TN_FIELD: return eval_fields(r, *dot, n, 0, c->n_kid, final, out);
	case TN_VARIABLE:
		if (n->n_name == 1 && !not_a_function(r, n, c->n_kid, final)) return false;
		return eval_fields(r, find_var(r, n->name[0])->v, n, 1, c->n_kid, final, out);
	case TN_CHAIN: {
		struct tval v;
		return eval_operand(r, dot, n->kid[0], &v) && eval_fields(r, v, n, 0, c->n_kid, final, out);
	}
	case TN_FUNC: return eval_call(r, dot, n, c, c->kid + 1, c->n_kid - 1, final, out);
	case TN_NIL: return not_a_function(r, n, c->n_kid, final) && fail(r, "nil is not a command");
	default: return not_a_function(r, n, c->n_kid, final) && eval_operand(r, dot, n, out);
	}
}

static bool eval_pipe(struct template_run *r, const struct tval *dot, const struct tnode *pipe, struct tval *out)
{
	struct tval v = TVAL_NOTHING, piped;
	r->node = pipe;
	for (uint32_t i = 0; i < pipe->n_kid; i++) {
		piped = v;
		if (!eval_command(r, dot, pipe->kid[i], i ? &piped : NULL, &v)) return false;
	}
	for (uint32_t i = 0; i < pipe->n_name; i++) {
		if (pipe->assign)
			find_var(r, pipe->name[i])->v = v;
		else
			push_var(r, pipe->name[i], v);
	}
	*out = v;
	return true;
}

/* An operand without arguments. */
static bool eval_operand(struct template_run *r, const struct tval *dot, const struct tnode *n, struct tval *out)
{
	if (!step(r, n)) return false;
	switch (n->kind) {
	case TN_FIELD: return eval_fields(r, *dot, n, 0, 0, NULL, out);
	case TN_VARIABLE: return eval_fields(r, find_var(r, n->name[0])->v, n, 1, 0, NULL, out);
	case TN_CHAIN: {
		struct tval v;
		return eval_operand(r, dot, n->kid[0], &v) && eval_fields(r, v, n, 0, 0, NULL, out);
	}
	case TN_FUNC: return eval_call(r, dot, n, n, NULL, 0, NULL, out);
	case TN_PIPE: return eval_pipe(r, dot, n, out);
	case TN_DOT: *out = *dot; return true;
	case TN_NIL: *out = TVAL_NOTHING; return true;
	default: *out = n->val; return true;
	}
}

/* ---- calls ---- */

static const struct {
	char letter;
	const char *type, *wanted;
	enum tval_kind kind;
} params[] = {
	{'s', "string", "string", TVAL_STR},    {'i', "int", "integer", TVAL_INT},
	{'f', "float64", "float", TVAL_FLOAT},  {'b', "bool", "boolean", TVAL_BOOL},
	{'t', "time.Time", "", TVAL_TIME},      {'m', "map[string]interface {}", "", TVAL_MAP},
	{'l', "[]interface {}", "", TVAL_LIST},
};

/* A value for a parameter: of the right type, or it is an error. */
static bool check_arg(struct template_run *r, char letter, struct tval *v)
{
	if (letter == 'a') return true;
	for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
		if (params[i].letter != letter) continue;
		if (letter == 'm' || letter == 'l') {
			*v = tval_expand(r, v);
			if (v->kind == TVAL_NIL) return true;
		}
		if (v->kind == params[i].kind) return true;
		if (v->kind == TVAL_NIL) return fail(r, "invalid value; expected %s", params[i].type);
		return fail(r, "wrong type for value; expected %s; got %s", params[i].type, tval_type(v));
	}
	return true;
}

static bool is_constant(const struct tnode *n)
{
	return n->kind == TN_STRING || n->kind == TN_NUMBER || n->kind == TN_BOOL;
}

/* Constants take the type of their parameter: 3 is an int or a float, 3.0 too. */
static bool eval_constant(struct template_run *r, char letter, const struct tnode *n, struct tval *out)
{
	*out = n->val;
	if (letter == 'a') return true;
	if (letter == 'i' && n->kind == TN_NUMBER && n->is_int) {
		*out = TVAL_OF_INT(n->num);
		return true;
	}
	if (letter == 'f' && n->kind == TN_NUMBER) {
		*out = TVAL_OF_FLOAT(n->val.kind == TVAL_INT ? (double)n->val.num : n->val.f);
		return true;
	}
	for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
		if (params[i].letter != letter || params[i].kind == out->kind) continue;
		struct buf b = {0};
		tnode_print(&b, n);
		if (*params[i].wanted)
			fail(r, "expected %s; found %.*s", params[i].wanted, STR_ARG(buf_view(&b)));
		else
			fail(r, "can't handle %.*s for arg of type %s", STR_ARG(buf_view(&b)), params[i].type);
		buf_free(&b);
		return false;
	}
	return true;
}

static bool eval_arg(struct template_run *r, const struct tval *dot, char letter, const struct tnode *n,
		     struct tval *out)
{
	if (!step(r, n)) return false;
	if (is_constant(n)) return eval_constant(r, letter, n, out);
	if (n->kind == TN_NIL && !strchr("aml", letter))
		return fail(r, "cannot assign nil to %s",
			    letter == 's'   ? "string"
			    : letter == 'i' ? "int"
			    : letter == 'f' ? "float64"
					    : "value");
	return eval_operand(r, dot, n, out) && check_arg(r, letter, out);
}

/* and, or: no more arguments than needed are evaluated. */
static bool eval_lazily(struct template_run *r, const struct tval *dot, struct tnode *const *args, size_t n,
			const struct tval *final, bool stop_when, struct tval *out)
{
	for (size_t i = 0; i < n; i++) {
		if (!eval_arg(r, dot, 'a', args[i], out)) return false;
		if (tval_true(r, out) == stop_when) return true;
	}
	if (final) *out = *final;
	return true;
}

/* The letter of parameter i, with the last repeating for "*". */
static char param_letter(const char *args, size_t i)
{
	size_t n = strlen(args);
	bool many = n && args[n - 1] == '*';
	if (many) n--;
	return i < n ? args[i] : many ? args[n - 1] : 'a';
}

static bool check_count(struct template_run *r, const struct template_func *fn, size_t argc)
{
	size_t n = strlen(fn->args);
	bool many = n && fn->args[n - 1] == '*';
	if (many ? argc + 2 >= n : argc == n) return true;
	return fail(r, "wrong number of args for %s: want %s%zu got %zu", fn->name, many ? "at least " : "",
		    many ? n - 2 : n, argc);
}

static bool eval_call(struct template_run *r, const struct tval *dot, const struct tnode *fn, const struct tnode *at,
		      struct tnode *const *args, size_t n, const struct tval *final, struct tval *out)
{
	const struct template_func *f = fn->fn;
	size_t argc = n + (final != NULL);
	struct err bad = ERR_INIT;
	bool stop_when;
	r->node = fn;
	if (!check_count(r, f, argc)) return false;
	if (template_short_circuits(f, &stop_when)) return eval_lazily(r, dot, args, n, final, stop_when, out);
	struct tval few[8], *argv = argc <= 8 ? few : arena_alloc(r->a, argc * sizeof *argv);
	for (size_t i = 0; i < n; i++)
		if (!eval_arg(r, dot, param_letter(f->args, i), args[i], &argv[i])) return false;
	if (final) {
		argv[n] = *final;
		if (!check_arg(r, param_letter(f->args, n), &argv[n])) return false;
	}
	if (r->a->used - r->arena_from > TEMPLATE_MAX_MEMORY)
		return fail(r, "template needs too much memory (limit %d bytes)", TEMPLATE_MAX_MEMORY);
	r->node = at;
	if (f->fn(r, argv, argc, out, &bad)) return true;
	return fail(r, "error calling %s: %s", f->name, bad.msg);
}

/* ---- statements ---- */

static bool walk(struct template_run *r, const struct tval *dot, const struct tnode *n);

static bool walk_list(struct template_run *r, const struct tval *dot, const struct tnode *list)
{
	for (uint32_t i = 0; list && i < list->n_kid && r->flow == TFLOW_ON; i++)
		if (!walk(r, dot, list->kid[i])) return false;
	return true;
}

static bool walk_branch(struct template_run *r, const struct tval *dot, const struct tnode *n)
{
	struct tval v;
	if (!eval_pipe(r, dot, n->pipe, &v)) return false;
	if (!tval_true(r, &v)) return walk_list(r, dot, n->otherwise);
	return walk_list(r, n->kind == TN_WITH ? &v : dot, n->list);
}

/* One turn of a range. False with *on false: stop without an error. */
static bool walk_turn(struct template_run *r, const struct tnode *n, const struct tval *key, const struct tval *v,
		      bool *on)
{
	const struct tnode *pipe = n->pipe;
	size_t scope = r->n_vars;
	struct tval both[2] = {*key, *v};
	for (uint32_t i = 0; i < pipe->n_name; i++) {
		struct tval item = pipe->n_name == 1 ? *v : both[i];
		if (pipe->assign)
			find_var(r, pipe->name[i])->v = item;
		else
			push_var(r, pipe->name[i], item);
	}
	bool ok = step(r, n) && walk_list(r, v, n->list);
	r->n_vars = scope;
	*on = ok && r->flow != TFLOW_BREAK;
	r->flow = TFLOW_ON;
	return ok;
}

static bool walk_range(struct template_run *r, const struct tval *dot, const struct tnode *n)
{
	struct tval v, key, item;
	struct tnode silent = *n->pipe; /* the variables get items, not the whole */
	bool on = true;
	silent.n_name = 0;
	if (!eval_pipe(r, dot, &silent, &v)) return false;
	r->node = n->pipe;
	v = tval_expand(r, &v);
	size_t count = v.kind == TVAL_LIST ? v.list->n : v.kind == TVAL_MAP ? v.map->n : 0;
	if (v.kind == TVAL_INT && v.num > 0) count = (size_t)v.num;
	if (v.kind != TVAL_LIST && v.kind != TVAL_MAP && v.kind != TVAL_INT && v.kind != TVAL_NIL) {
		struct buf b = {0};
		tval_print(r, &b, &v);
		fail(r, "range can't iterate over %.*s", STR_ARG(buf_view(&b)));
		buf_free(&b);
		return false;
	}
	if (!count) return walk_list(r, dot, n->otherwise);
	for (size_t i = 0; i < count && on; i++) {
		key = TVAL_OF_INT((int64_t)i);
		item = v.kind == TVAL_LIST ? v.list->v[i] : key;
		if (v.kind == TVAL_MAP) {
			key = TVAL_OF_STR(v.map->keys[i]);
			item = v.map->v[i];
		}
		if (!walk_turn(r, n, &key, &item, &on)) return false;
	}
	return true;
}

static bool walk_template(struct template_run *r, const struct tval *dot, const struct tnode *n)
{
	const struct tnode *list = map_get(&r->t->defined, n->text);
	struct tval v = TVAL_NOTHING;
	r->node = n;
	if (!list) return fail(r, "template \"%.*s\" not defined", STR_ARG(n->text));
	if (r->depth >= TEMPLATE_MAX_DEPTH) return fail(r, "exceeded maximum template depth (%d)", TEMPLATE_MAX_DEPTH);
	if (n->pipe && !eval_pipe(r, dot, n->pipe, &v)) return false;
	struct template_run inner = *r;
	inner.vars = NULL;
	inner.n_vars = inner.cap_vars = 0;
	inner.executing = n->text;
	inner.depth++;
	push_var(&inner, STR("$"), v);
	bool ok = walk_list(&inner, &v, list);
	r->steps = inner.steps;
	return ok;
}

static void print_value(struct template_run *r, const struct tval *v)
{
	if (v->kind == TVAL_NIL)
		buf_c(r->out, "<no value>");
	else
		tval_print(r, r->out, v);
}

static bool walk(struct template_run *r, const struct tval *dot, const struct tnode *n)
{
	size_t scope = r->n_vars;
	struct tval v;
	bool ok;
	if (!step(r, n)) return false;
	switch (n->kind) {
	case TN_TEXT: buf_str(r->out, n->text); return true;
	case TN_ACTION:
		if (!eval_pipe(r, dot, n->pipe, &v)) return false;
		if (!n->pipe->n_name) print_value(r, &v);
		return true;
	case TN_IF:
	case TN_WITH: ok = walk_branch(r, dot, n); break;
	case TN_RANGE: ok = walk_range(r, dot, n); break;
	case TN_TEMPLATE: return walk_template(r, dot, n);
	case TN_BREAK: r->flow = TFLOW_BREAK; return true;
	case TN_CONTINUE: r->flow = TFLOW_CONTINUE; return true;
	default: return walk_list(r, dot, n);
	}
	r->n_vars = scope;
	return ok;
}

/* Literals and {{.field}}: no interpreter needed. */
static bool run_plain(struct template_run *r)
{
	struct tval v;
	for (uint32_t i = 0; i < r->t->root->n_kid; i++) {
		const struct tnode *n = r->t->root->kid[i];
		if (n->kind == TN_TEXT) {
			buf_str(r->out, n->text);
		} else {
			tval_member(r, &(struct tval){.kind = TVAL_DATA}, n->pipe->kid[0]->kid[0]->name[0], &v);
			print_value(r, &v);
		}
	}
	return r->out->n - r->from <= TEMPLATE_MAX_OUTPUT ||
	       fail(r, "output too large (limit %d bytes)", TEMPLATE_MAX_OUTPUT);
}

bool template_run(const struct template *t, const struct template_data *d, struct buf *out, struct arena *a,
		  struct err *e)
{
	struct template_run r = {.t = t,
				 .d = d,
				 .out = out,
				 .a = a,
				 .e = e,
				 .executing = str_c(t->name),
				 .from = out->n,
				 .arena_from = a->used};
	bool ok;
	if (t->plain) {
		ok = run_plain(&r);
	} else {
		struct tval dot = {.kind = TVAL_DATA};
		push_var(&r, STR("$"), dot);
		ok = walk_list(&r, &dot, t->root) && step(&r, t->root);
	}
	if (!ok) out->n = r.from;
	return ok;
}
