/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pipeline/streams.h"

#include "tests/unit/check.h"

struct counter {
	struct stream stream;
	int n;
};

static struct labels of(struct label *l, const char *value)
{
	*l = (struct label){STR("l"), str_c(value)};
	return (struct labels){l, 1};
}

static void state_per_label_set(void **state)
{
	(void)state;
	struct streams t;
	struct label l[2], pair[] = {{STR("a"), STR("bc")}, {STR("d"), STR("")}},
			   other[] = {{STR("ab"), STR("c")}, {STR("d"), STR("")}};
	streams_init(&t, sizeof(struct counter), 10);
	assert_null(streams_oldest(&t));
	struct labels a = of(&l[0], "a"), b = of(&l[1], "b"), none = {0}, p = {pair, 2}, o = {other, 2};
	assert_null(streams_find(&t, &a));
	((struct counter *)streams_add(&t, &a))->n = 1;
	((struct counter *)streams_add(&t, &b))->n = 2;
	((struct counter *)streams_add(&t, &none))->n = 3;
	((struct counter *)streams_add(&t, &p))->n = 4;
	assert_null(streams_find(&t, &o)); /* lengths are part of the key */
	assert_int_equal(((struct counter *)streams_find(&t, &a))->n, 1);
	assert_int_equal(((struct counter *)streams_find(&t, &none))->n, 3);
	assert_int_equal(((struct counter *)streams_find(&t, &p))->n, 4);
	streams_remove(&t, streams_find(&t, &p));
	assert_null(streams_find(&t, &p));
	streams_fini(&t);
}

static void the_oldest_use_goes_first(void **state)
{
	(void)state;
	struct streams t;
	struct label l;
	streams_init(&t, sizeof(struct counter), 3);
	for (int i = 0; i < 3; i++) {
		struct labels s = of(&l, i == 0 ? "0" : i == 1 ? "1" : "2");
		streams_begin(&t); /* one array for several sets */
		assert_false(streams_full(&t));
		((struct counter *)streams_add(&t, &s))->n = i;
	}
	assert_true(streams_full(&t));
	struct labels zero = of(&l, "0");
	streams_begin(&t);
	streams_find(&t, &zero);
	const struct counter *c = streams_oldest(&t);
	assert_int_equal(c->n, 1);
	c = streams_newer(&t, c);
	assert_int_equal(c->n, 2);
	c = streams_newer(&t, c);
	assert_int_equal(c->n, 0);
	assert_null(streams_newer(&t, c));
	streams_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(state_per_label_set),
					   cmocka_unit_test(the_oldest_use_goes_first)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
