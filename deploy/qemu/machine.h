#ifndef QEMU_MACHINE_H
#define QEMU_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

#include "nucleus/base/check.h"

/* The command line of QEMU for a guest. What each word is for, and what was
 * tried instead: docs/GROUNDS.md. */

#define MACHINE_QEMU "qemu-system-x86_64"

enum { MACHINE_WORDS_MAX = 80, MACHINE_TEXT_MAX = 8192 };

struct machine {
    const char *name;
    const char *accel; /* "kvm" or "tcg" */
    const char *kernel;
    const char *initrd;
    unsigned memory_mib;
    unsigned number;       /* of the network card's address; 0 = no network */
    const char *net_local; /* socket of the card, and of the switch's port */
    const char *net_remote;
    unsigned user_port;  /* instead: a port of loopback that is the guest's, on
                          * QEMU's user network; 0 = none */
    const char *console; /* files, appended to */
    const char *log;
    const char *core;     /* file, written anew */
    const char *events;   /* file, appended to; NULL: none */
    const char *incoming; /* a file to go on from; NULL: boot */
    const char *qmp;      /* socket for commands; NULL: none */
    int link_fd;          /* -1: a probe, without the site's ports */
    int events_fd;        /* QMP for its starter; -1: none */
};

struct machine_args {
    char *argv[MACHINE_WORDS_MAX];
    size_t count;
    char text[MACHINE_TEXT_MAX];
    size_t used;
};

/** @return false: it does not fit (a path is too long) */
MUST_USE bool machine_args(const struct machine *m, struct machine_args *a);

#endif
