#include <criterion/criterion.h>
#include <string.h>

#include "deploy/check/eventlog.h"
#include "nucleus/base/prng.h"

TestSuite(eventlog, .timeout = 10);

static bool same(const struct check_event *a, const struct check_event *b)
{
    char x[EVENTLOG_LINE_MAX];
    char y[EVENTLOG_LINE_MAX];
    (void)eventlog_write(a, x);
    (void)eventlog_write(b, y);
    return strcmp(x, y) == 0 && a->now_ns == b->now_ns && a->what == b->what &&
           a->id == b->id && a->port.lo == b->port.lo &&
           a->peer.hi == b->peer.hi && a->co.lo == b->co.lo &&
           a->deadline_ns == b->deadline_ns && a->value == b->value &&
           a->value2 == b->value2 && a->err == b->err && a->news == b->news &&
           a->how == b->how && a->wait == b->wait && a->told == b->told &&
           a->broken == b->broken;
}

Test(eventlog, what_is_written_is_read)
{
    struct prng p;
    prng_init(&p, 1);
    for (int i = 0; i < 2000; i++) {
        char line[EVENTLOG_LINE_MAX];
        struct check_event back;
        const struct check_event e = {
            .now_ns = prng_next(&p),
            .what = (enum check_what)prng_between(&p, 1, CHECK_WHAT_COUNT - 1),
            .site = prng_next(&p),
            .incarnation = (uint32_t)prng_next(&p),
            .id = prng_next(&p) >> prng_below(&p, 64),
            .port = {prng_next(&p), prng_next(&p)},
            .peer = {prng_next(&p), prng_next(&p)},
            .co = {prng_next(&p), 0},
            .deadline_ns = prng_chance(&p, 500000) ? UINT64_MAX : 5,
            .value = prng_next(&p),
            .value2 = prng_next(&p),
            .err = (enum motet_err)prng_below(&p, MOTET_E_COUNT),
            .news = (enum motet_news)prng_below(&p, 8),
            .how = (enum motet_mode)prng_below(&p, MOTET_MODE_COUNT),
            .wait = prng_chance(&p, 500000),
            .told = prng_chance(&p, 500000),
            .broken = prng_chance(&p, 500000),
        };
        const size_t size = eventlog_write(&e, line);
        cr_assert_eq(size, strlen(line));
        cr_assert(eventlog_read(line, &back), "%s", line);
        cr_assert(same(&e, &back), "%s", line);
    }
}

Test(eventlog, what_is_torn_or_changed_is_no_line)
{
    static const char *const bad[] = {
        "",
        "\n",
        "12\n",
        "12 NOTHING\n",
        "x SEND_BEGIN\n",
        "12 SEND_BEGIN id=1", /* no end: its writer was killed */
        "12 SEND_BEGIN id\n",
        "12 SEND_BEGIN id=\n",
        "12 SEND_BEGIN id=1x\n",
        "12 SEND_BEGIN colour=1\n",
        "12 SEND_BEGIN port=1\n",
        "12 SEND_BEGIN port=1.\n",
        "12 SEND_BEGIN port=1.2.3\n",
        "12 SEND_END err=ffffffff\n",
        "12 SEND_BEGIN how=63\n",
        "12 NEWS news=fffffff0\n",
    };
    struct check_event e;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_not(eventlog_read(bad[i], &e), "%s", bad[i]);
    }
    cr_expect(eventlog_read("12 SEND_BEGIN id=1f port=1.2\n", &e));
    cr_expect(e.now_ns == 12 && e.id == 31 && e.port.lo == 2);
}
