#include <argp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "deploy/units/units.h"
#include "inside.h"
#include "nucleus/base/version.h"

/* motet-switch: the network between the sites of a cluster on one machine. */

enum { EXIT_USAGE = 2, EXIT_TEMPFAIL = 75 };

enum { KEY_CONTROL = 'c', KEY_SEED = 's', KEY_STARTER = 0x100 };

static struct told {
    const char *control;
    uint64_t seed;
    int starter; /* a descriptor that closes when who started us ends; -1 */
} told = {.seed = 1, .starter = -1};

static struct net net;
static uv_signal_t signals[2];

static error_t on_option(int key, char *arg, struct argp_state *state)
{
    uint64_t n;

    switch (key) {
    case KEY_CONTROL:
        told.control = arg;
        return 0;
    case KEY_SEED:
        if (!unit_count(arg, &told.seed)) {
            argp_error(state, "--seed: \"%s\" is not a number", arg);
        }
        return 0;
    case KEY_STARTER:
        if (!unit_count(arg, &n) || n > 1000000) {
            argp_error(state, "--starter: \"%s\" is no descriptor", arg);
        }
        told.starter = (int)n;
        return 0;
    case ARGP_KEY_END:
        if (told.control == NULL) {
            argp_error(state, "say where to listen: --control PATH");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void net_quit(struct net *n)
{
    n->ending = true;
    uv_stop(&n->loop);
}

static void on_signal(uv_signal_t *s, int signum)
{
    (void)signum;
    net_quit(s->data);
}

static struct watch *starter;

static void on_starter(void *ctx, int events)
{
    struct net *n = ctx;
    char byte;
    const ssize_t got = read(starter->fd, &byte, 1);

    (void)events;
    if (got > 0) {
        return;
    }
    watch_free(starter);
    starter = NULL;
    if (!n->keep) {
        net_quit(n);
    }
}

/* A relay among 64 sites has 8,064 doors. */
static void raise_limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

static bool open_all(struct net *n, char *why)
{
    static const int numbers[] = {SIGTERM, SIGINT};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        signals[i].data = n;
        if (uv_signal_init(&n->loop, &signals[i]) != 0 ||
            uv_signal_start(&signals[i], on_signal, numbers[i]) != 0) {
            snprintf(why, WHY_MAX, "no signals");
            return false;
        }
    }
    if (!timer_start(n)) {
        snprintf(why, WHY_MAX, "no clock");
        return false;
    }
    if (told.starter >= 0) {
        starter = watch_new(n, told.starter, on_starter, n);
        watch_for(starter, UV_READABLE);
    }
    return control_open(n, told.control, why);
}

static void close_all(struct net *n)
{
    list_foreach (it, &n->faults) {
        struct named_fault *f = LIST_ENTRY(it, struct named_fault, link);
        deadline_clear(&n->due, &f->end);
        list_remove(it);
        free(f);
    }
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        if (n->ports[i].name[0] != '\0') {
            port_remove(&n->ports[i]);
        }
    }
    capture_close(n);
    if (n->control != NULL) {
        control_close(n);
    }
    watch_free(starter);
    watch_free(n->timer);
    n->timer = NULL;
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        uv_close((uv_handle_t *)&signals[i], NULL);
    }
    (void)uv_run(&n->loop, UV_RUN_DEFAULT); /* what is closing closes */
    bridge_fini(n);
    deadlines_fini(&n->due);
    (void)uv_loop_close(&n->loop);
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"control", KEY_CONTROL, "PATH", 0, "unix socket to be asked at", 0},
        {"seed", KEY_SEED, "N", 0, "of all that is drawn (1)", 0},
        {"starter", KEY_STARTER, "FD", 0,
         "end when this descriptor hangs up, until told to \"keep\"", 0},
        {0}};
    static const struct argp argp = {
        .options = options,
        .parser = on_option,
        .doc = "The network between sites on one machine: an Ethernet switch "
               "for virtual machines and network namespaces, and a relay for "
               "processes, with faults on each link.\v"
               "\"motet up --on netns\" starts one. What it can be asked: "
               "deploy/switch/client.h.",
    };
    char why[WHY_MAX] = "";

    signal(SIGPIPE, SIG_IGN);
    raise_limit();
    argp_program_version = version_text();
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    CHECK(uv_loop_init(&net.loop) == 0);
    mem_init(&net.mem, MEMORY_MAX);
    deadlines_init(&net.due, &net.mem);
    list_init(&net.faults);
    list_init(&net.relayed);
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        net.ports[i].net = &net;
        net.ports[i].index = i;
        list_init(&net.ports[i].waiting);
    }
    bridge_init(&net);
    links_seed(&net, told.seed);
    const bool ok = open_all(&net, why);
    if (ok) {
        (void)uv_run(&net.loop, UV_RUN_DEFAULT);
    } else {
        fprintf(stderr, "motet-switch: %s\n", why);
    }
    close_all(&net);
    return ok ? EXIT_SUCCESS : EXIT_TEMPFAIL;
}
