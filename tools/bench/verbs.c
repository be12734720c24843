#include "tools/verbs.h"

#include "bench.h"

/* motet bench call, send, ...: one table of flags, one row for each kind. */

static struct bench_wish wish = {
    .size = "64",
    .actors = "supervisor",
    .for_ns = UINT64_C(1000000000),
    .warmup_ns = UINT64_C(500000000),
    .runs = 5,
};

#define AT(field) offsetof(struct bench_wish, field)
#define FROM                                                             \
    {                                                                    \
        "from", 0, "SITE", FLAG_TEXT, AT(from), "who begins (the first)" \
    }
#define TO                                                           \
    {                                                                \
        "to", 0, "SITE", FLAG_TEXT, AT(to), "who takes (the second)" \
    }
#define COUNT(what)                                  \
    {                                                \
        "count", 0, "N", FLAG_COUNT, AT(count), what \
    }
#define COMMON                                                                   \
    {"size",    0,        "SIZE",                                                \
     FLAG_TEXT, AT(size), "of the body (64); all: 64, 1KiB, 64KiB, 16MiB"},      \
        {"for", 0, "TIME", FLAG_DURATION, AT(for_ns), "of each run (1s)"},       \
        {"warm-up",     0,                                                       \
         "TIME",        FLAG_DURATION,                                           \
         AT(warmup_ns), "before it is counted (500ms)"},                         \
        {"runs", 0, "N", FLAG_COUNT, AT(runs), "whose medians are told (5)"},    \
        {"window", 0, "N", FLAG_COUNT, AT(window), "in flight at once"},         \
        {"actors",   0,                                                          \
         "KIND",     FLAG_TEXT,                                                  \
         AT(actors), "supervisor (within the sites) or user (processes)"},       \
        {"transport",   0,                                                       \
         "WAY",         FLAG_TEXT,                                               \
         AT(transport), "tcp or udp: in a cluster made for this"},               \
        {"insecure",   0,                                                        \
         NULL,         FLAG_SWITCH,                                              \
         AT(insecure), "not encrypted: in a cluster made for this"},             \
        {"cpus",    0,        "WHERE",                                           \
         FLAG_TEXT, AT(cpus), "bind both ends to one processor, or to two"},     \
        {"floor",     0,         NULL,                                           \
         FLAG_SWITCH, AT(floor), "the same with plain sockets, and the ratios"}, \
        KEEP
#define KEEP                                                               \
    {"save", 0, "FILE", FLAG_TEXT, AT(save), "the result, for --against"}, \
        {"against",                                                        \
         0,                                                                \
         "FILE",                                                           \
         FLAG_TEXT,                                                        \
         AT(against),                                                      \
         "compare: 1 if something is worse, 9 if too noisy to judge"},     \
    {                                                                      \
        NULL, 0, NULL, FLAG_SWITCH, 0, NULL                                \
    }
#define LATENCY                                                          \
    {"rate",    0,        "RATE",                                        \
     FLAG_RATE, AT(rate), "latency then counts from when each was due"}, \
    {                                                                    \
        "histogram", 0, NULL, FLAG_SWITCH, AT(histogram),                \
            "how many took how long"                                     \
    }

static const struct flag call_flags[] = {
    FROM,
    TO,
    LATENCY,
    {"beside", 0, "SIZE", FLAG_SIZE, AT(beside),
     "with a stream of such bodies beside, and without"},
    COMMON};
static const struct flag local_flags[] = {TO, LATENCY, COMMON};
static const struct flag send_flags[] = {FROM, TO, COMMON};
static const struct flag fanin_flags[] = {
    TO, COUNT("of senders (one on each other site)"), COMMON};
static const struct flag fanout_flags[] = {
    FROM, COUNT("of receivers (one on each other site)"), COMMON};
static const struct flag start_flags[] = {
    {"runs", 0, "N", FLAG_COUNT, AT(runs), "how often (5)"},
    {"transport", 0, "WAY", FLAG_TEXT, AT(transport), "tcp or udp"},
    {"insecure", 0, NULL, FLAG_SWITCH, AT(insecure), "not encrypted"},
    KEEP};
#undef AT

static enum exit_code call_run(char **args, unsigned count)
{
    (void)args, (void)count;
    return bench_run(&bench_call, &wish);
}

static enum exit_code send_run(char **args, unsigned count)
{
    (void)args, (void)count;
    return bench_run(&bench_send, &wish);
}

static enum exit_code fanin_run(char **args, unsigned count)
{
    (void)args, (void)count;
    return bench_run(&bench_fanin, &wish);
}

static enum exit_code fanout_run(char **args, unsigned count)
{
    (void)args, (void)count;
    return bench_run(&bench_fanout, &wish);
}

static enum exit_code local_run(char **args, unsigned count)
{
    (void)args, (void)count;
    return bench_run(&bench_local, &wish);
}

static enum exit_code start_run(char **args, unsigned count)
{
    (void)args, (void)count;
    wish.warmup_ns = 0;
    return bench_run(&bench_start, &wish);
}

static enum exit_code compare_run(char **args, unsigned count)
{
    (void)count;
    return against_files(args[0], args[1]);
}

static const char exits[] = "0 1 2 3 4 5 7 9 10 77 124";

const struct verb verb_bench_call = {
    .name = "bench call",
    .args = "",
    .flags = call_flags,
    .into = &wish,
    .run = call_run,
    .summary = "round trips between two sites",
    .examples = "  motet bench call --floor\n"
                "  motet bench call --transport udp --floor\n"
                "  motet bench call --rate 10000/s --histogram\n"
                "  motet bench call --beside 16MiB\n"
                "  motet bench call --floor --save yesterday.json\n"
                "  motet bench call --floor --against yesterday.json\n",
    .exits = exits,
};

const struct verb verb_bench_send = {
    .name = "bench send",
    .args = "",
    .flags = send_flags,
    .into = &wish,
    .run = send_run,
    .summary = "messages one way between two sites",
    .examples = "  motet bench send --floor --size all\n"
                "  motet bench send --transport udp --insecure --floor\n",
    .exits = exits,
};

const struct verb verb_bench_fanin = {
    .name = "bench fanin",
    .args = "",
    .flags = fanin_flags,
    .into = &wish,
    .run = fanin_run,
    .summary = "messages from many to one port",
    .examples = "  motet bench fanin\n"
                "  motet bench fanin --count 8 --actors user\n",
    .exits = exits,
};

const struct verb verb_bench_fanout = {
    .name = "bench fanout",
    .args = "",
    .flags = fanout_flags,
    .into = &wish,
    .run = fanout_run,
    .summary = "messages from one port to a group",
    .examples = "  motet bench fanout\n"
                "  motet bench fanout --count 8 --actors user\n",
    .exits = exits,
};

const struct verb verb_bench_local = {
    .name = "bench local",
    .args = "",
    .flags = local_flags,
    .into = &wish,
    .run = local_run,
    .summary = "round trips within one site",
    .examples = "  motet bench local --actors user --floor\n",
    .exits = exits,
};

const struct verb verb_bench_start = {
    .name = "bench start",
    .args = "",
    .flags = start_flags,
    .into = &wish,
    .run = start_run,
    .summary = "how long a site takes to start",
    .examples = "  motet bench start --runs 10\n",
    .exits = exits,
};

const struct verb verb_bench_compare = {
    .name = "bench compare",
    .args = "NOW BEFORE",
    .args_min = 2,
    .args_max = 2,
    .run = compare_run,
    .summary = "two results that were saved",
    .examples = "  motet bench compare today.json yesterday.json\n",
    .exits = "0 1 2 9",
};
