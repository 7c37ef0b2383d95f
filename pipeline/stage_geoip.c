/* SPDX-License-Identifier: GPL-2.0-or-later */
/* geoip: what a MaxMind database knows of an IP address becomes labels (Promtail) or extracted values (Alloy, which
 * also has databases of countries, and JMESPath expressions for any other). What the database does not have is left
 * alone. */
#include "pipeline/extract/jmespath.h"
#include "pipeline/label_edits.h"
#include "pipeline/mmdb.h"

enum { CITY = 1, ASN = 2, COUNTRY = 4 };

static const struct db_field {
	const char *name;
	unsigned databases;  /* that have it */
	bool alloy;          /* only there */
	const char *path[5]; /* ends with NULL */
} db_fields[] = {
	{"geoip_city_name", CITY, false, {"city", "names", "en"}},
	{"geoip_country_name", CITY | COUNTRY, false, {"country", "names", "en"}},
	{"geoip_country_code", CITY | COUNTRY, true, {"country", "iso_code"}},
	{"geoip_continent_name", CITY | COUNTRY, false, {"continent", "names", "en"}},
	{"geoip_continent_code", CITY | COUNTRY, false, {"continent", "code"}},
	{"geoip_location_latitude", CITY, false, {"location", "latitude"}},
	{"geoip_location_longitude", CITY, false, {"location", "longitude"}},
	{"geoip_postal_code", CITY, false, {"postal", "code"}},
	{"geoip_timezone", CITY, false, {"location", "time_zone"}},
	{"geoip_subdivision_name", CITY, false, {"subdivisions", "-1", "names", "en"}},
	{"geoip_subdivision_code", CITY, false, {"subdivisions", "-1", "iso_code"}},
	{"geoip_autonomous_system_number", ASN, false, {"autonomous_system_number"}},
	{"geoip_autonomous_system_organization", ASN, false, {"autonomous_system_organization"}},
};
#define FIELDS (sizeof db_fields / sizeof *db_fields)

struct conf {
	struct str db, source, db_type;
	struct labels lookups; /* Alloy: extracted name → expression */
};
/* A record's fields: lines name the same addresses again and again. */
#define SLOTS       128 /* a power of two */
#define NUMBER_TEXT 24
struct slot {
	uint64_t at; /* one more than the record's; 0: free */
	size_t n;
	struct field v[FIELDS];
	char numbers[FIELDS][NUMBER_TEXT];
};
struct lookup {
	struct str name;
	struct jmespath *j;
	bool wanted;
};
struct state {
	struct label_stage labels;
	struct mmdb *db;
	struct slot *slots;
	const struct db_field *v[FIELDS]; /* that are looked up */
	size_t n;
	struct lookup *lookups;
	size_t n_lookups;
	bool any_lookup;
	struct buf out; /* scratch */
};

static bool choose_fields(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	static const char *const names[] = {"city", "asn", "country"}; /* bits in this order */
	unsigned database = 0;
	for (unsigned i = 0; i < (stage_is_alloy(s) ? 3 : 2); i++)
		if (str_eqc(c->db_type, names[i])) database = 1u << i;
	if (!database && (c->db_type.n || !c->lookups.n))
		return stage_refuse(body, "db_type", e, "db_type must be %s, not \"%.*s\"",
				    stage_is_alloy(s) ? "city, asn or country, or custom_lookups be set"
						      : "city or asn",
				    STR_ARG(c->db_type));
	for (size_t i = 0; i < FIELDS; i++)
		if (db_fields[i].databases & database && (stage_is_alloy(s) || !db_fields[i].alloy))
			st->v[st->n++] = &db_fields[i];
	return true;
}

static bool compile_lookups(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	st->lookups = arena_zalloc(s->arena, c->lookups.n * sizeof *st->lookups);
	for (size_t i = 0; i < c->lookups.n; i++) {
		const struct label *l = &c->lookups.v[i];
		struct lookup *k = &st->lookups[st->n_lookups++];
		struct err why = ERR_INIT;
		k->name = l->name;
		k->j = jmespath_compile(l->value.n ? l->value : l->name, &why);
		if (!k->j)
			return stage_refuse(body, "custom_lookups", e, "expression of %.*s: %s", STR_ARG(l->name),
					    why.msg);
	}
	return true;
}

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	struct err why = ERR_INIT;
	if (!c->db.n) return stage_refuse(body, "db", e, "db must be set: the path of a MaxMind database");
	if (!c->source.n)
		return stage_refuse(body, "source", e, "source must be set: name the extracted value with the address");
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	if (!stage_is_alloy(s)) label_stage_init(&st->labels, s->arena, FIELDS);
	st->slots = arena_zalloc(s->arena, SLOTS * sizeof *st->slots);
	if (!choose_fields(s, body, e) || !compile_lookups(s, body, e)) return false;
	st->db = mmdb_open(arena_cstr(s->arena, c->db), &why);
	return st->db || stage_refuse(body, "db", e, "db: %s", why.msg);
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	label_stage_fini(s);
	for (size_t i = 0; i < st->n_lookups; i++) jmespath_free(st->lookups[i].j);
	mmdb_close(st->db);
	buf_free(&st->out);
}

static void plan(struct stage *s, struct reads *r)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	size_t n = 0;
	for (size_t i = 0; i < st->n; i++)
		if (!stage_is_alloy(s) || reads_has(r, str_c(st->v[i]->name))) st->v[n++] = st->v[i];
	st->n = n;
	for (size_t i = 0; i < st->n_lookups; i++)
		st->any_lookup |= st->lookups[i].wanted = reads_has(r, st->lookups[i].name);
	if (st->n || st->any_lookup) reads_add(r, c->source);
}

/* The text of a number goes along with it. */
static struct value number_of(double v, struct arena *a, char *room)
{
	struct value value = {.kind = VALUE_NUM, .num = v};
	struct str text;
	if (!value_text(a, &value, &text) || text.n > NUMBER_TEXT) return value;
	memcpy(room, text.p, text.n);
	value.s = str_of(room, text.n);
	return value;
}

static void fill(const struct state *st, struct slot *k, struct arena *a, const struct mmdb_record *r)
{
	k->at = (uint64_t)r->at + 1;
	k->n = 0;
	for (size_t i = 0; i < st->n; i++) {
		const struct jval *v = mmdb_get(r, a, st->v[i]->path);
		struct field *f = &k->v[k->n];
		f->name = str_c(st->v[i]->name);
		if (v && v->kind == JVAL_NUM)
			f->value = number_of(v->num, a, k->numbers[k->n++]);
		else if (v && v->kind == JVAL_STR && v->s.n && str_utf8_valid(v->s))
			k->v[k->n++].value = (struct value){.kind = VALUE_STR, .s = v->s};
	}
}

static void set_fields(struct stage *s, struct batch *b, struct entry *e, const struct mmdb_record *r)
{
	struct state *st = s->state;
	struct slot *k = &st->slots[r->at * UINT32_C(0x9e3779b1) >> 16 & (SLOTS - 1)];
	if (k->at != (uint64_t)r->at + 1) fill(st, k, b->arena, r);
	st->labels.n = 0;
	for (size_t i = 0; i < k->n; i++) {
		struct value v = k->v[i].value;
		struct str text;
		if (v.kind == VALUE_NUM) v.s = arena_str(b->arena, v.s); /* another record may take the slot */
		if (stage_is_alloy(s))
			entry_set(b, e, k->v[i].name, v);
		else if (value_text(b->arena, &v, &text))
			label_stage_set(&st->labels, k->v[i].name, text);
	}
	label_stage_apply(&st->labels, b, e);
}

static void search(struct state *st, struct batch *b, struct entry *e, const struct mmdb_record *r)
{
	struct err why = ERR_INIT;
	const struct jval *tree = mmdb_tree(r, b->arena);
	for (size_t i = 0; tree && i < st->n_lookups; i++) {
		const struct jval *v =
			st->lookups[i].wanted ? jmespath_search(st->lookups[i].j, tree, b->arena, &why) : NULL;
		if (v && v->kind != JVAL_NULL) entry_set(b, e, st->lookups[i].name, stage_value(b->arena, v, &st->out));
	}
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	struct mmdb_record r;
	if (!stage_is_alloy(s)) label_stage_begin(&st->labels);
	for (size_t i = 0; (st->n || st->any_lookup) && i < b->n; i++) {
		struct str address;
		if (!stage_text(b, &b->v[i], c->source, &address) || !mmdb_find(st->db, address, &r)) continue;
		if (st->n) set_fields(s, b, &b->v[i], &r);
		if (st->any_lookup) search(st, b, &b->v[i], &r);
	}
}

static const struct conf_field fields[] = {
	{.key = "db",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, db),
	 .doc = "Path of the database (.mmdb), which is opened at the start."},
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, source),
	 .doc = "Extracted value with the address."},
	{.key = "db_type",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, db_type),
	 .doc = "What is looked up: city or asn; in Alloy country, too."},
	{0},
};
static const struct conf_table table = {"geoip stage",   sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_EXACT};

static const struct conf_field alloy_fields[] = {
	{.key = "custom_lookups",
	 .kind = CONF_STR_MAP,
	 .off = offsetof(struct conf, lookups),
	 .doc = "Extracted names and JMESPath expressions over what the database has of the address; nothing means the "
		"name "
		"itself."},
	{0},
};
static const struct conf_table alloy = {"geoip stage", sizeof(struct conf), alloy_fields};

const struct stage_type stage_geoip = {
	.name = "geoip",
	.doc = "Looks IP addresses up in a MaxMind database.",
	.conf = &table,
	.alloy = &alloy,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
	.simple = true,
};
