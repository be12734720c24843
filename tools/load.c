#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_S 1000000000ULL

static const char mark[4] = {'M', 'T', 'S', 'Q'};

enum {
    BODY_TEXT_MAX = 24,
    RETRY_NS = 1000000, /* after AGAIN, if no event comes earlier */
};

#define GRACE_NS                                                \
    (2 * NS_PER_S) /* beyond the last deadline: then it is lost \
                    */

/* One message under way, at the place token % LOAD_IN_FLIGHT_MAX. */
struct slot {
    uint64_t token; /* 0 = free */
    uint64_t due_ns;
};

struct running {
    struct load *l;
    struct motet_port *port;
    struct slot slots[LOAD_IN_FLIGHT_MAX];
    uint64_t in_flight;
    uint64_t total; /* UINT64_MAX: until end_ns */
    uint64_t start_ns;
    uint64_t end_ns; /* no new ones after it */
    uint64_t next_second_ns;
    uint64_t run;        /* of this process: in numbered messages */
    bool held_back;      /* the site said AGAIN */
    uint64_t last_token; /* of those that came back */
    bool counting;       /* replies are numbers of a counter */
    uint64_t least, last_value, most;
};

/* ---- numbers in messages ---------------------------------------------------
 */

static size_t put_number(uint8_t annex[LOAD_ANNEX_BYTES], uint64_t run,
                         uint64_t number)
{
    memcpy(annex, mark, sizeof mark);
    memcpy(annex + 4, &run, sizeof run);
    memcpy(annex + 12, &number, sizeof number);
    return LOAD_ANNEX_BYTES;
}

bool load_number(const void *annex, size_t size, uint64_t *run,
                 uint64_t *number)
{
    if (size != LOAD_ANNEX_BYTES || memcmp(annex, mark, sizeof mark) != 0) {
        return false;
    }
    memcpy(run, (const uint8_t *)annex + 4, sizeof *run);
    memcpy(number, (const uint8_t *)annex + 12, sizeof *number);
    return true;
}

/* ---- what came back --------------------------------------------------------
 */

static bool decimal(const void *bytes, size_t size, uint64_t *value)
{
    const char *p = bytes;

    *value = 0;
    for (size_t i = 0; i < size; i++) {
        if (p[i] < '0' || p[i] > '9' || *value > UINT64_MAX / 10 - 1) {
            return false;
        }
        *value = *value * 10 + (uint64_t)(p[i] - '0');
    }
    return size > 0;
}

/* A counter steps for each call, in the order of the calls. */
static void check_count(struct running *r, uint64_t value)
{
    struct load *l = r->l;

    if (!r->counting) {
        r->counting = true;
        r->least = value;
        r->most = value;
    } else if (value == r->last_value) {
        l->duplicated++;
    } else if (value < r->last_value) {
        l->reordered++;
    }
    r->last_value = value;
    r->least = value < r->least ? value : r->least;
    r->most = value > r->most ? value : r->most;
}

static void check_reply(struct running *r, uint64_t token,
                        const struct motet_view *reply)
{
    struct load *l = r->l;
    uint64_t value = 0;
    bool number =
        reply != NULL && decimal(reply->body, reply->body_bytes, &value);

    if (l->own_body) {
        l->wrong += number && value == token - 1 ? 0 : 1;
    } else if (number && (l->size != reply->body_bytes ||
                          memcmp(l->body, reply->body, l->size) != 0)) {
        check_count(r, value);
    } else if (reply == NULL || reply->body_bytes != l->size ||
               memcmp(l->body, reply->body, l->size) != 0) {
        l->wrong++;
    }
    if (token < r->last_token) {
        l->reordered++;
    }
    r->last_token = token;
}

static void count_failure(struct load *l, enum motet_err err)
{
    if (l->first_err == MOTET_OK) {
        l->first_err = err;
    }
    if (motet_err_ran(err) == MOTET_RAN_MAYBE) {
        l->maybe++;
    } else {
        l->refused++;
    }
}

static void on_end(struct running *r, const struct motet_event *e)
{
    struct load *l = r->l;
    struct slot *s = &r->slots[e->token % LOAD_IN_FLIGHT_MAX];

    if (e->token == 0 || s->token != e->token) {
        l->duplicated++; /* a second outcome of one message */
        return;
    }
    uint64_t now = clock_ns();
    uint64_t took = now > s->due_ns ? now - s->due_ns : 0;
    s->token = 0;
    r->in_flight--;
    if (e->err != MOTET_OK) {
        count_failure(l, e->err);
        return;
    }
    l->ok++;
    l->second_ok++;
    histogram_add(&l->all, took);
    histogram_add(&l->second, took);
    if (l->each_done != NULL) {
        l->each_done(l, s->due_ns, now);
    }
    if (l->verify) {
        check_reply(r, e->token, e->reply);
    }
}

/* ---- what goes out ---------------------------------------------------------
 */

static enum motet_err begin(struct running *r, uint64_t token)
{
    const struct load *l = r->l;
    uint8_t annex[LOAD_ANNEX_BYTES];
    char text[BODY_TEXT_MAX];
    int64_t ms = (int64_t)((l->deadline_ns + 999999) / 1000000);
    uint64_t call;
    size_t annex_bytes = l->numbered ? put_number(annex, r->run, token - 1) : 0;
    struct motet_out out = motet_annexed(annex, annex_bytes, l->body, l->size);

    if (l->own_body) {
        int n = snprintf(text, sizeof text, "%" PRIu64, token - 1);
        out.body = (struct motet_bytes){text, (size_t)n};
    }
    return l->send ? motet_send_start(r->port, l->to, out, ms, token)
                   : motet_call_start(r->port, l->to, out, ms, token, &call);
}

/* When the next one is due; UINT64_MAX: none any more. */
static uint64_t next_due(const struct running *r, uint64_t now)
{
    const struct load *l = r->l;

    if (l->begun >= r->total) {
        return UINT64_MAX;
    }
    uint64_t due = now;
    if (l->rate > 0) {
        uint64_t whole = l->begun / l->rate;
        due = r->start_ns + whole * NS_PER_S +
              l->begun % l->rate * NS_PER_S / l->rate;
    }
    return due >= r->end_ns ? UINT64_MAX : due;
}

static void issue(struct running *r)
{
    struct load *l = r->l;
    uint64_t now = clock_ns();

    r->held_back = false;
    for (uint64_t due = next_due(r, now); due <= now && due != UINT64_MAX;
         due = next_due(r, now)) {
        uint64_t token = l->begun + 1;
        struct slot *s = &r->slots[token % LOAD_IN_FLIGHT_MAX];
        if (r->in_flight >= l->window || s->token != 0) {
            return;
        }
        enum motet_err err = begin(r, token);
        if (err == MOTET_E_AGAIN) {
            r->held_back = true;
            return;
        }
        l->begun++;
        if (err != MOTET_OK) {
            count_failure(l, err);
        } else {
            *s = (struct slot){token, due};
            r->in_flight++;
        }
        now = clock_ns();
    }
}

/* ---- the loop --------------------------------------------------------------
 */

static void take_events(struct running *r)
{
    struct motet_event e;

    while (motet_event(r->l->client->motet, &e, 0) == MOTET_OK) {
        bool end = r->l->send ? e.kind == MOTET_EVENT_SENT
                              : e.kind == MOTET_EVENT_CALL_DONE;
        if (end) {
            on_end(r, &e);
        }
    }
}

static void tell_second(struct running *r)
{
    struct load *l = r->l;

    if (clock_ns() < r->next_second_ns) {
        return;
    }
    l->elapsed_ns = clock_ns() - r->start_ns;
    if (l->each_second != NULL) {
        l->each_second(l, l->user);
    }
    histogram_init(&l->second);
    l->second_ok = 0;
    r->next_second_ns += NS_PER_S;
}

/* Sleeps until something comes in, or the next one is due. */
static bool wait_more(struct running *r, uint64_t until)
{
    struct pollfd fd = {.fd = motet_fd(r->l->client->motet), .events = POLLIN};
    uint64_t now = clock_ns();

    if (r->held_back && until > now + RETRY_NS) {
        until = now + RETRY_NS;
    }
    until = until < r->next_second_ns ? until : r->next_second_ns;
    uint64_t ns = until > now ? until - now : 0;
    struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_S),
                         .tv_nsec = (long)(ns % NS_PER_S)};
    (void)ppoll(&fd, 1, &t, NULL);
    return motet_dispatch(r->l->client->motet) == MOTET_OK;
}

static void run(struct running *r)
{
    struct load *l = r->l;
    uint64_t give_up = UINT64_MAX;

    for (;;) {
        take_events(r);
        issue(r);
        tell_second(r);
        uint64_t now = clock_ns();
        uint64_t due = next_due(r, now);
        if (due == UINT64_MAX && give_up == UINT64_MAX) {
            give_up = now + l->deadline_ns + GRACE_NS;
        }
        if ((due == UINT64_MAX && r->in_flight == 0) || now >= give_up) {
            return;
        }
        /* What is due but finds no place waits for an event. */
        bool full = r->in_flight >= l->window;
        uint64_t until = due == UINT64_MAX ? give_up
                         : due > now       ? due
                         : full            ? now + NS_PER_S
                                           : now + RETRY_NS;
        if (!wait_more(r, until)) {
            take_events(r); /* the site is lost: all have ended */
            return;
        }
    }
}

void load_run(struct load *l)
{
    struct running *r = calloc(1, sizeof *r);

    CHECK(r != NULL);
    r->l = l;
    r->port = motet_own_port(l->client->motet);
    r->start_ns = clock_ns();
    r->next_second_ns = r->start_ns + NS_PER_S;
    r->end_ns = l->for_ns > 0 ? r->start_ns + l->for_ns : UINT64_MAX;
    r->total = l->count > 0 ? l->count : UINT64_MAX;
    r->run = (uint64_t)getpid() << 32 ^ r->start_ns;
    if (l->rate > 0 && l->for_ns > 0 && l->count == 0) {
        r->total = (l->for_ns / 1000000 * l->rate + 999) / 1000;
        r->end_ns = r->start_ns + 2 * l->for_ns; /* to make up for delays */
    }
    if (l->window == 0 || l->window >= LOAD_IN_FLIGHT_MAX) {
        l->window = LOAD_IN_FLIGHT_MAX - 1;
    }
    histogram_init(&l->all);
    histogram_init(&l->second);
    run(r);
    l->elapsed_ns = clock_ns() - r->start_ns;
    l->lost += r->in_flight;
    if (r->counting) {
        uint64_t steps = r->most - r->least + 1;
        l->unexplained = steps > l->ok ? steps - l->ok : 0;
    }
    free(r);
}
