/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/queue.h"

#include "tests/unit/check.h"

#include <pthread.h>

static int items[1000];

static void fifo(void **state)
{
	(void)state;
	struct queue *q = queue_new(3);
	for (int round = 0; round < 5; round++) { /* around the ring */
		for (int i = 0; i < 3; i++) assert_true(queue_push(q, &items[i]));
		for (int i = 0; i < 3; i++) assert_ptr_equal(queue_pop(q), &items[i]);
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
	assert_ptr_equal(queue_pop(q), &items[0]);
	assert_null(queue_pop(q));
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
	assert_ptr_equal(queue_pop(q), &items[0]); /* it runs, and has 999 more for a queue of one */
	queue_close(q);
	pthread_join(t, &r);
	assert_null(r);
	queue_free(q);
	queue_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fifo),
		cmocka_unit_test(closing_lets_the_rest_out),
		cmocka_unit_test(threads_meet),
		cmocka_unit_test(closing_wakes_a_producer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
