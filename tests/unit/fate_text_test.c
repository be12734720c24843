#include <criterion/criterion.h>
#include <string.h>

#include "deploy/fault/fate.h"
#include "deploy/fault/text.h"
#include "nucleus/base/prng.h"

TestSuite(fate_text, .timeout = 20);

#define MS 1000000ULL

Test(fate_text, refuses_what_is_no_fault_and_says_why)
{
    static const struct {
        const char *text;
        const char *why;
    } bad[] = {
        {"dealy=20ms", "no fault \"dealy\""},
        {"=", "no fault \"\""},
        {"delay", "delay: \"\" is not a time like 20ms"},
        {"delay=", "delay: \"\" is not a time like 20ms"},
        {"delay=20", "delay: \"20\" is not a time like 20ms"},
        {"delay=-1ms", "delay: \"-1ms\" is not a time like 20ms"},
        {"loss=1", "loss: \"1\" is not a part like 1%"},
        {"loss=101%", "loss: \"101%\" is not a part like 1%"},
        {"rate=0/s",
         "rate: \"0/s\" is not a rate like 64KiB/s, 10mbit or none"},
        {"rate=64KiB",
         "rate: \"64KiB\" is not a rate like 64KiB/s, 10mbit or none"},
        {"rate=9999999mbit",
         "rate: \"9999999mbit\" is not a rate like 64KiB/s, 10mbit or none"},
        {"queue=0", "queue: \"0\" is not a size like 64KiB"},
        {"burst-length=0",
         "burst-length: \"0\" is not a number of 1 to 1000000"},
        {"cut=maybe", "cut: \"maybe\" is not yes or no"},
        {"cut=", "cut: \"\" is not yes or no"},
        {"loss=1% cu", "no fault \"cu\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct fate_change c = {0};
        char why[FATE_WHY_MAX] = "";
        cr_expect_not(fate_read(&c, bad[i].text, why), "%s", bad[i].text);
        cr_expect_str_eq(why, bad[i].why);
    }
}

Test(fate_text, reads_every_word)
{
    struct fate_change c = {0};
    char why[FATE_WHY_MAX];
    cr_assert(
        fate_read(&c,
                  "  delay=20ms jitter=1.5ms,tail=250us loss=1% burst=0.5% "
                  "burst-length=12 burst-loss=90% duplicate=2% reorder=3% "
                  "reorder-by=7ms corrupt=0.0001% rate=10mbit queue=64KiB cut "
                  "blackhole=yes clog reset ",
                  why));
    const struct fate_params *p = &c.value;
    cr_expect_eq(p->delay_ns, 20 * MS);
    cr_expect_eq(p->jitter_ns, 1500000);
    cr_expect_eq(p->tail_ns, 250000);
    cr_expect_eq(p->loss, 10000);
    cr_expect_eq(p->burst, 5000);
    cr_expect_eq(p->burst_length, 12);
    cr_expect_eq(p->burst_kept, 100000);
    cr_expect_eq(p->duplicate, 20000);
    cr_expect_eq(p->reorder, 30000);
    cr_expect_eq(p->reorder_by_ns, 7 * MS);
    cr_expect_eq(p->corrupt, 1);
    cr_expect_eq(p->rate, 1250000);
    cr_expect_eq(p->queue, 65536);
    cr_expect(p->cut && p->blackhole && p->clog && p->reset);
    cr_expect_eq(c.named, 0x1ffff, "there are 17 words");
}

Test(fate_text, writes_what_a_person_would)
{
    struct fate_change c = {0};
    char why[FATE_WHY_MAX];
    char text[FATE_TEXT_MAX];
    cr_expect_str_eq(fate_write(&c, text), "");
    cr_assert(fate_read(&c, "clog=no loss=1% delay=20ms cut rate=none", why));
    cr_expect_str_eq(fate_write(&c, text),
                     "delay=20ms loss=1% rate=none cut clog=no");
}

Test(fate_text, a_change_changes_only_what_it_names)
{
    struct fate_change c = {0};
    char why[FATE_WHY_MAX];
    struct fate_params p = {.delay_ns = 5, .loss = 7, .cut = true};
    cr_assert(fate_read(&c, "loss=0% cut=no", why));
    fate_change_apply(&c, &p);
    cr_expect_eq(p.delay_ns, 5);
    cr_expect_eq(p.loss, 0);
    cr_expect_not(p.cut);
}

/* Field by field: between them there is padding. */
static bool same(const struct fate_params *p, const struct fate_params *q)
{
    return p->delay_ns == q->delay_ns && p->jitter_ns == q->jitter_ns &&
           p->tail_ns == q->tail_ns && p->loss == q->loss &&
           p->burst == q->burst && p->burst_length == q->burst_length &&
           p->burst_kept == q->burst_kept && p->duplicate == q->duplicate &&
           p->reorder == q->reorder && p->reorder_by_ns == q->reorder_by_ns &&
           p->corrupt == q->corrupt && p->rate == q->rate &&
           p->queue == q->queue && p->cut == q->cut &&
           p->blackhole == q->blackhole && p->clog == q->clog &&
           p->reset == q->reset;
}

Test(fate_text, what_is_written_is_read_back)
{
    struct prng r;
    prng_init(&r, 1);
    for (int i = 0; i < 20000; i++) {
        static const uint64_t ends[] = {1, 1000, 1000000, 3600000000000ULL};
        const uint64_t end = ends[prng_below(&r, 4)];
        struct fate_params p = {
            .delay_ns = prng_below(&r, end),
            .jitter_ns = prng_below(&r, end),
            .tail_ns = prng_below(&r, end),
            .loss = (uint32_t)prng_below(&r, 1000001),
            .burst = (uint32_t)prng_below(&r, 1000001),
            .burst_length = (uint32_t)prng_below(&r, 1000001),
            .burst_kept = (uint32_t)prng_below(&r, 1000001),
            .duplicate = (uint32_t)prng_below(&r, 1000001),
            .reorder = (uint32_t)prng_below(&r, 1000001),
            .reorder_by_ns = prng_below(&r, end),
            .corrupt = (uint32_t)prng_below(&r, 1000001),
            .rate = prng_below(&r, end < 1ULL << 40 ? end : 1ULL << 40),
            .queue = prng_below(&r, 1 << 30),
            .cut = prng_below(&r, 2) == 0,
            .blackhole = prng_below(&r, 2) == 0,
            .clog = prng_below(&r, 2) == 0,
            .reset = prng_below(&r, 2) == 0,
        };
        const struct fate_change c = fate_change_of(&p);
        struct fate_change back = {0};
        struct fate_params q = {0};
        char text[FATE_TEXT_MAX];
        char why[FATE_WHY_MAX] = "";
        cr_assert(fate_read(&back, fate_write(&c, text), why), "%s: %s", text,
                  why);
        cr_assert_eq(back.named, c.named, "%s", text);
        fate_change_apply(&back, &q);
        cr_assert(same(&p, &q), "%s", text);
    }
}

Test(fate_text, the_list_of_words_has_help)
{
    const char *value;
    const char *help;
    size_t n = 0;
    for (const char *name; (name = fate_word(n, &value, &help)) != NULL; n++) {
        cr_expect(strlen(name) > 0 && strlen(help) > 0);
    }
    cr_expect_eq(n, 17);
}
