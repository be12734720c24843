#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ground.h"
#include "network.h"
#include "say.h"

/* A process of this machine in a network namespace of its own. The switch makes
 * the namespace and holds it: nothing of it outlives the switch and the site.
 * Its sockets for programs are files, and reached from outside as ever. */

#define TUN "/dev/net/tun"

static enum exit_code check(void)
{
    char path[PATH_BYTES];

    if (geteuid() != 0) {
        say_error("network namespaces need root");
        say_hint("try: sudo motet up --on netns");
        say_hint("or without: --on host");
        return EXIT_DENIED;
    }
    if (access(TUN, R_OK | W_OK) != 0) {
        say_error(TUN ": %s", strerror(errno));
        say_hint("the kernel needs the module tun: modprobe tun");
        say_hint("or without namespaces: --on host");
        return EXIT_FAILED;
    }
    return process_find("motet-switch", path) && process_find("nsenter", path)
               ? EXIT_DONE
               : EXIT_FAILED;
}

static bool prepare(struct cluster *c)
{
    struct network n;

    return network_open(c, &n) &&
           (n.running || network_start(&n, NETWORK_SWITCH, n.seed));
}

/* The namespace of a site, made. It is empty of what a life before left. */
static bool plug(struct cluster *c, const struct site_files *site,
                 char path[ADDRESS_MAX])
{
    struct network n;
    json_t *answer;
    char address[ADDRESS_MAX];

    snprintf(address, sizeof address, "%s", site->address);
    address[strcspn(address, ":")] = '\0';
    if (!network_open(c, &n) ||
        !network_ask(&n, &answer, "port %s namespace %s/%d", site->name,
                     address, NETWORK_PREFIX)) {
        return false;
    }
    const char *netns = json_string_value(json_object_get(answer, "netns"));
    snprintf(path, ADDRESS_MAX, "%s", netns == NULL ? "" : netns);
    json_decref(answer);
    return true;
}

static bool start(struct cluster *c, struct site_files *site)
{
    char enter[PATH_BYTES];
    char program[PATH_BYTES];
    char netns[ADDRESS_MAX];
    char where[ADDRESS_MAX + 8];
    char flag[] = "--config";
    char *argv[] = {enter, where, program, flag, site->conf, NULL};

    if (!process_find("nsenter", enter) || !process_find("motetd", program) ||
        !plug(c, site, netns)) {
        return false;
    }
    snprintf(where, sizeof where, "--net=%s", netns);
    return process_start(argv, site->log, site->pid, &site->process);
}

static void clean(struct cluster *c, struct site_files *site)
{
    struct network n;

    if (network_open(c, &n) && n.running &&
        !network_ask(&n, NULL, "unport %s", site->name)) {
        say_hint("%s leaves its namespace behind, until motet down",
                 site->name);
    }
}

const struct ground ground_netns = {
    .name = "netns",
    .kind = "netns",
    .timeout_ns = 20000000000,
    .switched = true,
    .check = check,
    .prepare = prepare,
    .start = start,
    .pause = ground_pause_process,
    .resume = ground_resume_process,
    .leave = ground_leave_process,
    .clean = clean,
};
