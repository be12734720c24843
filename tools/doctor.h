#ifndef TOOLS_DOCTOR_H
#define TOOLS_DOCTOR_H

#include <stddef.h>
#include <stdint.h>

/* What this machine can do, found by trying. */

enum finding_state { FINDING_OK, FINDING_NO, FINDING_WARN };

struct finding {
    enum finding_state state;
    char what[160]; /* what was found */
    char todo[200]; /* what to do about it; "" if nothing */
};

struct doctor_check {
    const char *name;
    const char *need; /* ground that cannot do without it; "all"; "" for none */
    void (*look)(struct finding *f);
};

/** doctor_system.c and doctor_qemu.c; the latter use what came before. */
extern const struct doctor_check doctor_system[];
extern const size_t doctor_system_count;
extern const struct doctor_check doctor_qemu[];
extern const size_t doctor_qemu_count;

/** Fills in a finding. */
__attribute__((format(printf, 3, 4))) void finding_set(struct finding *f,
                                                       enum finding_state state,
                                                       const char *format, ...);
__attribute__((format(printf, 2, 3))) void
finding_todo(struct finding *f, const char *format, ...);

#endif
