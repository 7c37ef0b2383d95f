# SPDX-License-Identifier: GPL-2.0-or-later
"""Realistic logs of systems that never were, for demo and bench: SYSTEMS[name](random) yields entries, each of one
line or (java) several. The same seed gives the same logs but for their times."""
import json, time


def nginx(r):
    while True:
        t = time.strftime('%d/%b/%Y:%H:%M:%S +0000', time.gmtime())
        yield '10.0.%d.%d - - [%s] "%s %s HTTP/1.1" %d %d "-" "Mozilla/5.0" %.3f' % (r.randrange(4), r.randrange(255), t, r.choice(['GET', 'GET', 'POST']),
            r.choice(['/', '/cart', '/checkout', '/api/items/%d' % r.randrange(999)]), r.choice([200] * 9 + [304, 404, 500]), r.randrange(90000), r.random() * 2)


def shop(r):
    while True:
        yield json.dumps({'level': r.choice(['info'] * 8 + ['warn', 'error']), 'method': r.choice(['GET', 'POST']), 'path': '/orders/%d' % r.randrange(50),
                          'status': r.choice([200] * 8 + [404, 500, 503]), 'duration_ms': round(r.lognormvariate(3, 1), 1), 'trace_id': '%016x' % r.getrandbits(64)})


def api(r):
    while True:
        yield 'level=%s caller=server.go:%d method=%s duration=%dms bytes=%d msg="%s"' % (r.choice(['info'] * 8 + ['debug', 'warn', 'error']), r.randrange(400),
            r.choice(['Get', 'Put', 'List']), r.randrange(900), r.randrange(9000), r.choice(['request done', 'cache miss', 'upstream timed out']))


def sshd(r):
    while True:
        u, a = r.choice(['root', 'admin', 'ada', 'oracle']), '203.0.113.%d' % r.randrange(255)
        yield '%s gate sshd[%d]: %s' % (time.strftime('%b %d %H:%M:%S'), r.randrange(20000, 30000), r.choice(['Failed password for %s from %s port %d ssh2' % (u, a, r.randrange(1024, 65535)),
            'Accepted publickey for %s from %s' % (u, a), 'Connection closed by %s [preauth]' % a, 'error: maximum authentication attempts exceeded for %s' % u]))


def java(r):
    while True:
        now = time.time()
        head = time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now)) + '.%03d' % (now % 1 * 1000)
        if r.random() < .8:
            yield '%s INFO  [http-%d] c.e.Billing - charged order %d' % (head, r.randrange(8), r.randrange(9999))
        else:
            yield '\n'.join(['%s ERROR [http-%d] c.e.Billing - charge failed' % (head, r.randrange(8)), 'java.lang.IllegalStateException: card declined',
                             '\tat com.example.Billing.charge(Billing.java:%d)' % r.randrange(300), '\tat com.example.Main.run(Main.java:14)', 'Caused by: java.io.IOException: broken pipe', '\t... 7 more'])


SYSTEMS = {'nginx': nginx, 'shop': shop, 'api': api, 'sshd': sshd, 'java': java}
