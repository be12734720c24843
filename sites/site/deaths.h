#ifndef SITE_DEATHS_H
#define SITE_DEATHS_H

#include "inside.h"

/* What a death means for ports that had moved. When a life of a site is over,
 * some of its ports may live elsewhere by now; who watches them, or waits for
 * their answer, must not be told that they died. So before anything is ended
 * here each living site is asked (DIR_SYNC) to take leave of that life, and all
 * that it then knows of where ports went is waited for. Whoever answers will
 * never activate a port that comes from there, and has said where those live
 * that it had given to that life.
 *
 * One that does not answer is waited for until it does, or is dead itself.
 *
 * The earlier lives of this very site are such a death too, from its start on:
 * their ports may live elsewhere, and the others know. Whom it was told to join
 * it waits for at first, but not for long.
 *
 * A port takes the deaths along that it was told of: where it arrives nothing
 * may come to it any more from there. */

void deaths_init(struct site *s);
void deaths_fini(struct site *s);

/** A life, and all before, is over, however that was learned; again is
 * harmless. */
void deaths_begin(struct site *s, uint64_t site, uint32_t incarnation,
                  enum nuc_site_state how);
/** DIR_SYNC and DIR_SYNCED. */
void deaths_message(struct site *s, uint64_t from, const struct dir_msg *msg);
/** Goes on where nothing is waited for any more; asks again. */
void deaths_run(struct site *s);
uint64_t deaths_deadline_ns(const struct site *s);

/** A life that is over, and all before it. */
struct tomb {
    uint64_t site;
    uint32_t incarnation;
};

/** The deaths of which everything here was told; *at is NULL at first. */
bool deaths_next(const struct site *s, struct list **at, struct tomb *tomb);
/**
 * Another site was told of a death. Here it is believed, and told in its turn.
 * @return whether it was told already
 */
bool deaths_told(struct site *s, const struct tomb *tomb);

#endif
