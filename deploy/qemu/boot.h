#ifndef QEMU_BOOT_H
#define QEMU_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/check.h"

/* The first process of a guest: what it does to the machine. Nothing here is
 * told but on the console; who waits for the guest looks there. */

enum { BOOT_PATH_MAX = 256 };

/** Mounts what programs expect, opens the console as stdio. */
void boot_mounts(void);

/** Loads the modules that the file lists, a path a line, in that order. */
void boot_modules(const char *list);

/** The device of a virtio-serial port by name, waited for. @return false: there
 * is none within `ms` */
MUST_USE bool boot_port(const char *name, char path[BOOT_PATH_MAX], int ms);

/** Waits for a network card and gives it an address; lo too. @return false and
 * a line on the console */
MUST_USE bool boot_network(const char *address);

/** Sets the wall clock. */
void boot_clock(uint64_t wall_ns);

/** What the host drew counts as chance, so that no two guests begin alike. */
void boot_chance(const char *text);

/** Core dumps go through this program (boot_core()) to the host. */
void boot_cores(const char *self);

/** Copies stdin to the port for core dumps. @return exit status */
int boot_core(void);

/** Ends the machine; `code` shows in the exit status of QEMU. */
_Noreturn void boot_leave(int code);

/** Is the word on the kernel's command line? */
bool boot_word(const char *word);

#endif
