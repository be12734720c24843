/* Moves the port that serves a name to one site after the other.
 *
 *     move_port tally site2 site3 site1/other-program
 *
 *     cc move_port.c $(pkg-config --cflags --libs motet) */
#include <motet/motet.h>
#include <stdio.h>
#include <time.h>

enum { PATIENCE_MS = 5000, BETWEEN_MS = 50 };

/* The only member of the group; its key is not needed by who may manage all. */
static enum motet_err find(struct motet *m, const char *name,
                           struct motet_cap *port)
{
    struct motet_member members[2];
    size_t count = 0;
    const enum motet_err err =
        motet_group_list(m, motet_ui_of_name(name), members, 2, &count);
    if (err != MOTET_OK || count != 1) {
        return err != MOTET_OK ? err
               : count == 0    ? MOTET_E_NO_MEMBER
                               : MOTET_E_AMBIGUOUS;
    }
    *port = (struct motet_cap){.ui = members[0].port};
    return MOTET_OK;
}

static enum motet_err move(struct motet *m, const struct motet_cap *port,
                           const char *to)
{
    struct motet_move begun;
    struct motet_move_info info;
    enum motet_err err =
        motet_migrate_start(m, port, to, 0, PATIENCE_MS, &begun);
    if (err == MOTET_OK) {
        err = motet_migrate_wait(m, &begun, &info, PATIENCE_MS);
    }
    if (err == MOTET_OK) {
        printf("%s: %u queued, frozen for %.1f ms\n", to, info.queued,
               (double)(info.over_ns - info.frozen_ns) / 1e6);
        fflush(stdout);
    }
    return err;
}

int main(int argc, char **argv)
{
    struct motet *m;
    struct motet_cap port;
    const struct timespec pause = {.tv_nsec = BETWEEN_MS * 1000000L};
    if (argc < 3) {
        fprintf(stderr, "usage: move_port NAME SITE[/ACTOR]...\n");
        return 2;
    }
    enum motet_err err = motet_attach(NULL, &m);
    if (err == MOTET_OK) {
        err = find(m, argv[1], &port);
    }
    for (int i = 2; err == MOTET_OK && i < argc; i++) {
        err = move(m, &port, argv[i]);
        nanosleep(&pause, NULL);
    }
    if (err != MOTET_OK) {
        fprintf(stderr, "move_port: %s\n", motet_err_text(err));
    }
    motet_detach(m);
    return err == MOTET_OK ? 0 : motet_err_ran(err) == MOTET_RAN_NO ? 4 : 5;
}
