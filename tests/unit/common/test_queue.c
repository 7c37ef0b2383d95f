/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/queue.h"

#include "common/clock.h"
#include "tests/unit/check.h"

#include <pthread.h>

static int items[1000];

static void fifo_and_bounds(void **state)
{
	(void)state;
	struct queue *q = queue_new(3);
	assert_null(queue_try_pop(q));
	assert_null(queue_pop_until(q, clock_mono(&clock_real) + 1000000));
	for (int round = 0; round < 5; round++) { /* around the ring */
		for (int i = 0; i < 3; i++) assert_true(queue_try_push(q, &items[i]));
		assert_false(queue_try_push(q, &items[3]));
		assert_int_equal(queue_len(q), 3);
		for (int i = 0; i < 2; i++) assert_ptr_equal(queue_pop(q), &items[i]);
		assert_ptr_equal(queue_pop_until(q, 0), &items[2]); /* what is there comes whatever the deadline */
	}
	queue_free(q);
}

static void closing_lets_the_rest_out(void **state)
{
	(void)state;
	struct queue *q = queue_new(2);
	assert_true(queue_push(q, &items[0]));
	queue_close(q);
	assert_false(queue_push(q, &items[1]));
	assert_false(queue_try_push(q, &items[1]));
	assert_ptr_equal(queue_pop(q), &items[0]);
	assert_null(queue_pop(q));
	assert_null(queue_pop_until(q, INT64_MAX));
	queue_free(q);
}

static void *consume(void *ud)
{
	size_t n = 0;
	while (queue_pop(ud)) n++;
	return (void *)n;
}

static void *produce(void *ud)
{
	for (size_t i = 0; i < COUNT(items); i++)
		if (!queue_push(ud, &items[i])) return NULL;
	return ud;
}

static void threads_meet(void **state)
{
	(void)state;
	struct queue *q = queue_new(2);
	pthread_t in[2], out[2];
	for (int i = 0; i < 2; i++) {
		pthread_create(&out[i], NULL, consume, q);
		pthread_create(&in[i], NULL, produce, q);
	}
	void *r;
	for (int i = 0; i < 2; i++) {
		pthread_join(in[i], &r);
		assert_ptr_equal(r, q);
	}
	queue_close(q); /* wakes the consumers */
	size_t n = 0;
	for (int i = 0; i < 2; i++) {
		pthread_join(out[i], &r);
		n += (size_t)r;
	}
	assert_int_equal(n, 2 * COUNT(items));
	queue_free(q);
}

static void closing_wakes_a_producer(void **state)
{
	(void)state;
	struct queue *q = queue_new(1);
	pthread_t t;
	void *r;
	pthread_create(&t, NULL, produce, q);
	while (queue_len(q) == 0) continue;
	queue_close(q);
	pthread_join(t, &r);
	assert_null(r);
	queue_free(q);
	queue_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fifo_and_bounds),
		cmocka_unit_test(closing_lets_the_rest_out),
		cmocka_unit_test(threads_meet),
		cmocka_unit_test(closing_wakes_a_producer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
