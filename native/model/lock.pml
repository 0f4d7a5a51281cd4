// A model of one record of the lock table: what lock_record.cc, latch.cc and process_slot.cc do to it, step by step,
// with a kill possible before each step. README.md beside this file says what is checked and what is left out.

// What is checked, set by check.mjs:
//   PROCESSES, PERMITS   how many there are of each
//   FOREIGN              a program that knows nothing of the table takes and posts the semaphore, too
//   IN_HAND              with FOREIGN: processes sleep in the semaphore, and have a permit in hand when they are woken
//   HAND_BACK            who takes over may find that it cannot repair, and leaves the latch to the next as unrepaired
//   KILLS                see steps.pml
// Its other switches are the mutations: each takes one protection away.

#include "steps.pml"

#ifdef FOREIGN
#define IS_FOREIGN true
#else
#define IS_FOREIGN false
#endif

// ---- Shared memory

// A word is a tag, in a latch perhaps with ASKED. Of generations only equality matters, so they are kept relative: when
// a slot's generation counts up, every copy of its tag becomes OLD.
#define TAG(slot) (1 + (slot))
#define UNREPAIRED 7
#define OLD 8
#define ASKED 16
#define OWNER(word) ((word) & (7 | OLD))
#define SLOT(tag) (((tag) & 7) - 1)

byte latch;
byte value = PERMITS;    // of the semaphore
byte held;
byte tag[PERMITS];       // of the entries, as is:
bit released[PERMITS];
bit abandoned;
bit locked[PROCESSES + 1];  // the bytes of the slots
#ifdef IN_HAND
byte in_hand;               // the tag of whoever has it, or IN_ENTRY with the number of the entry that it goes into
#define IN_ENTRY 32
#define ENTRY_OF(word) ((word) >> 6)
#define HAS_IN_HAND (in_hand == me && me != 0)
// Not while it is in an entry that is written.
#define PERMIT_IN_HAND (in_hand != 0 && ((in_hand & IN_ENTRY) == 0 || tag[ENTRY_OF(in_hand)] == 0))
#else
#define HAS_IN_HAND false
#define PERMIT_IN_HAND 0
#endif

// ---- The processes' own memory, here where the checks can see it

byte tag_of[PROCESSES + 1];    // 0: not joined
byte word_of[PROCESSES + 1];   // what it saw in the latch while it asks whether the owner lives
bit holding[PROCESSES + 1];    // from the tag's writing to its clearing, or to the flag: longer than the caller knows
bit inside[PROCESSES + 1];     // an operation
#define me tag_of[_pid]
#define word word_of[_pid]

// ---- What only the checks know

byte holders;                 // how many are `holding`
byte foreign_holders;
byte gaps;                    // permits that kills in the two documented windows cost, with FOREIGN
bit in_window[PROCESSES + 1];
bit promised[PERMITS];        // its release() returned; whoever is inside the latch must sweep it
bit forgetful[PROCESSES + 1]; // left the latch, saw ASKED, has not yet come back or asked another
bit died_holding[PERMITS];
bit owed;                     // a holder died, and nobody was told yet

#if PERMITS == 1
#define ENTRIES (tag[0] != 0)
#define PROMISED promised[0]
#else
#define ENTRIES ((tag[0] != 0) + (tag[1] != 0))
#define PROMISED (promised[0] || promised[1])
#endif

#if PROCESSES == 2
#define NOBODY_INSIDE !inside[0] && !inside[1]
#else
#define NOBODY_INSIDE !inside[0] && !inside[1] && !inside[2]
#endif

#define AT_MOST_M assert(holders + foreign_holders <= PERMITS)
#ifdef IN_HAND
// What others take out of the semaphore, or put back, without the latch.
#define IN_WINDOWS (in_window[0] + in_window[1])
#else
#define IN_WINDOWS 0
#endif
#define I1 assert(held == ENTRIES && value + held + foreign_holders + PERMIT_IN_HAND + IN_WINDOWS + gaps == PERMITS)

#ifdef HAND_BACK
#define CANNOT_REPAIR (self != SURVIVOR)
#else
#define CANNOT_REPAIR false
#endif
#define ANOTHER ((self + 1) % PROCESSES)

// ---- Steps

#define FORGET word = 0; inside[self] = 0; forgetful[self] = 0; latched = 0; dead = 0; swept = 0; told = 0

inline die() {
  if :: IS_FOREIGN && in_window[self] -> gaps++ :: else fi;
  if :: holding[self] && !inside[self] || told -> died_holding[mine] = 1 :: else fi;
  if :: holding[self] -> holders-- :: else fi;
  if :: forgetful[self] -> for (i : 0 .. PERMITS - 1) { promised[i] = 0 } :: else fi;
  locked[self] = 0; me = 0; holding[self] = 0; in_window[self] = 0; i = 0; mine = 0; missing = 0;
  FORGET
}

// ---- process_slot.cc

inline make_old(copy, slot) { if :: OWNER(copy) == TAG(slot) -> copy = copy | OLD :: else fi }

inline count_generation(slot) {
  make_old(latch, slot);
#ifdef IN_HAND
  make_old(in_hand, slot);
#endif
  for (i : 0 .. PERMITS - 1) { make_old(tag[i], slot) };
  for (i : 0 .. PROCESSES - 1) { make_old(word_of[i], slot); make_old(tag_of[i], slot) };
  i = 0
}

#ifdef OWN_TAG_ASKED
#define IS_MINE(asked) false
#else
#define IS_MINE(asked) ((asked) == me)
#endif
#ifdef NO_GENERATION_CHECK
#define IS_PAST(asked) ((asked) == UNREPAIRED)
#else
#define IS_PAST(asked) ((asked) == UNREPAIRED || ((asked) & OLD) != 0)
#endif

// F_OFD_GETLK does not report what the asking description has locked itself.
#define SEES_LOCKED(slot) (locked[slot] && slot != self)

inline check(asked) {
  if
  WHEN(IS_MINE(asked), alive, dead = false)
  WHEN(!IS_MINE(asked) && IS_PAST(asked), generation differs, dead = true)
  WHEN(!IS_MINE(asked) && !IS_PAST(asked), generation agrees, skip);
    STEP(ask for the byte, dead = !SEES_LOCKED(SLOT(asked)) || IS_PAST(asked))
  OR_KILLED
  fi
}

// ---- lock_record.cc

inline clear_entry() {
#ifdef POST_BEFORE_CLEAR
  STEP(give_back_posted, value++);
#endif
  STEP(give_back_tag_cleared, tag[i] = 0; in_window[self] = 1; promised[i] = 0;
       owed = owed | died_holding[i]; died_holding[i] = 0;
       if :: holding[self] && i == mine -> holding[self] = 0; holders--; mine = 0 :: else fi);
  STEP(give_back_counted, held--);
#ifndef POST_BEFORE_CLEAR
  STEP(give_back_posted, value++; in_window[self] = 0)
#else
  in_window[self] = 0
#endif
}

#ifdef IN_HAND
inline give_back_in_hand() {
#ifdef IN_HAND_POSTED_FIRST
  STEP(sem_post, value++; in_window[self] = 0);
  STEP(in_hand_given_back, in_hand = 0)
#else
  STEP(in_hand_given_back, in_hand = 0; in_window[self] = 1);
  STEP(sem_post, value++; in_window[self] = 0)
#endif
}

#ifdef IN_HAND_GIVEN_BACK_TWICE
#define IS_WRITTEN false
#else
#define IS_WRITTEN (tag[ENTRY_OF(in_hand)] != 0)
#endif

inline sweep_in_hand() {
#ifdef IN_HAND_NOT_SWEPT
  skip
#else
  if
  WHEN(in_hand == 0, nothing in hand, skip)
  WHEN((in_hand & IN_ENTRY) != 0 && IS_WRITTEN, in its entry, in_hand = 0)
  WHEN((in_hand & IN_ENTRY) != 0 && !IS_WRITTEN, not in its entry, skip); give_back_in_hand()
  WHEN(in_hand != 0 && (in_hand & IN_ENTRY) == 0, load, word = in_hand);
    check(word);
    if
    WHEN(dead && in_hand == word, dead, dead = false; word = 0); give_back_in_hand()
    WHEN(!dead || in_hand != word, alive, dead = false; word = 0)
    OR_KILLED
    fi
  OR_KILLED
  fi
#endif
}
#endif

inline sweep() {
#ifdef IN_HAND
  sweep_in_hand();
#endif
  do
  WHEN(i < PERMITS && tag[i] == 0, free, i++)
  WHEN(i < PERMITS && tag[i] != 0 && released[i], sweep_found, skip); clear_entry(); i++
  WHEN(i < PERMITS && tag[i] != 0 && !released[i], read the flag, skip);
    check(tag[i]);
    if
    WHEN(dead, sweep_found, dead = false); STEP(set abandoned, abandoned = 1); clear_entry()
    WHEN(!dead, alive, skip)
    OR_KILLED
    fi;
    i++
  WHEN(i == PERMITS, done, i = 0; break)
  OR_KILLED
  od
}

inline post_missing() {
  STEP(sem_getvalue, missing = (value + held < PERMITS -> PERMITS - value - held : 0));
  do
  WHEN(missing > 0, repair_posted, value++; missing--)
  WHEN(missing == 0, done, break)
  OR_KILLED
  od
}

inline repair() {
#ifdef NO_REPAIR
  skip
#else
  STEP(repair_counted, held = ENTRIES);
#if !defined(FOREIGN) || defined(GAP_FILLED)
  post_missing()
#endif
#endif
}

// ---- latch.cc

// The latch is taken here, or, with `latched` false, the bound is over. That a try answers busy is left out: it changes
// nothing.
inline enter(may_give_up) {
end_outside:
#ifdef IN_HAND
  // Who sleeps in the semaphore gets a permit there, and gives it back while another has one in hand.
  do
  WHEN(self != SURVIVOR && !holding[self] && value > 0, foreign_post_taken, value--; in_window[self] = 1; inside[self] = 1);
    if
    WHEN(in_hand == 0, in_hand_written, in_hand = me; in_window[self] = 0)
    WHEN(in_hand != 0, sem_post, value++; in_window[self] = 0; inside[self] = 0)
    OR_KILLED
    fi;
    break
  WHEN(true, do not, break)
  od;
end_before_latch:
#endif
  do
  WHEN(latch == 0, compare-and-swap from 0, latch = me; inside[self] = 1; latched = true; break)
  WHEN(latch != 0 && may_give_up, timeout, inside[self] = 1; break)
  WHEN(latch != 0, load, word = latch; inside[self] = 1);
#ifdef TAKEOVER_UNASKED
    dead = true;
#else
    check(OWNER(word));
#endif
    if
    WHEN(!dead || latch != word, spin on, word = 0; dead = false; inside[self] = 0)
    WHEN(dead && latch == word, repair_taken_over, latch = me; word = 0; dead = false);
      repair(); sweep(); latched = true; break
    // The record turns out to be another one, or it is the table that looks at it, which repairs none.
    WHEN(dead && latch == word && CANNOT_REPAIR, repair_taken_over, latch = me; word = 0; dead = false);
      STEP(repair_handed_back, latch = UNREPAIRED | ASKED; inside[self] = 0)
    OR_KILLED
    fi
  od
}

// Who left and was asked to sweep does what AskToSweep says: goes in again, or asks whoever is inside.
inline leave() {
  do
#ifdef ASKED_DROPPED
  WHEN(true, store 0, I1; latch = 0; FORGET; goto end_outside)
#else
  WHEN(latch == me, exchange with 0, I1; latch = 0; FORGET; goto end_outside)
  WHEN(latch == (me | ASKED), exchange with 0, I1; latch = 0; forgetful[self] = 1);
    if
    WHEN(latch == 0, compare-and-swap from 0, latch = me; forgetful[self] = 0); sweep()
    WHEN(latch != 0, set asked, latch = latch | ASKED; FORGET; goto end_outside)
    OR_KILLED
    fi
#endif
  OR_KILLED
  od
}

// ---- lock_record.cc again: the operations

#ifdef FLAG_NOT_CLEARED
#define CLEAR_FLAG skip
#else
#define CLEAR_FLAG released[mine] = 0
#endif

inline write_entry() {
  STEP(acquire_entry_filled, mine = 0; do :: tag[mine] -> mine++ :: else -> break od; CLEAR_FLAG);
  STEP(acquire_tag_written, tag[mine] = me; in_window[self] = 0; holding[self] = 1; holders++; AT_MOST_M);
  STEP(acquire_counted, held++);
  STEP(read abandoned, told = abandoned; assert(told || !owed); owed = 0);
  STEP(clear abandoned, abandoned = 0)
}

inline acquire() {
  do
#ifdef ENTRY_BEFORE_WAIT
  WHEN(held < PERMITS, find a free entry, skip);
    write_entry();
    if
    WHEN(value > 0, sem_trywait, value--)
    WHEN(value == 0, sem_trywait, tag[mine] = 0; held--; holding[self] = 0; holders--; mine = 0)
    OR_KILLED
    fi;
    break
#else
  WHEN(held < PERMITS && value > 0, acquire_permit_taken, value--; in_window[self] = 1); write_entry(); break
#endif
#ifdef IN_HAND
  WHEN(held < PERMITS && value == 0 && in_hand != 0 && (in_hand & IN_ENTRY) == 0, acquire_permit_taken,
       in_hand = 0; in_window[self] = 1); write_entry(); break
#endif
#ifdef SWEPT_ONLY_WHEN_FULL
  WHEN(held < PERMITS && value == 0, busy, break)
#endif
  WHEN((held == PERMITS || value == 0) && !swept, no permit, swept = true); sweep()
  WHEN((held == PERMITS || value == 0) && swept, busy, break)
  OR_KILLED
  od
}

#ifdef IN_HAND
// To whoever is first in line, which is the process itself here; or nobody waits any more.
inline hand_on_in_hand() {
  if
#ifdef IN_HAND_KEPT
  WHEN(held < PERMITS, in_hand_to_entry, skip); write_entry();
#else
  WHEN(held < PERMITS, in_hand_to_entry, do :: tag[mine] -> mine++ :: else -> break od;
       in_hand = IN_ENTRY | (mine << 6); mine = 0); write_entry();
#endif
    STEP(in_hand_in_entry, skip);
    STEP(nothing in hand any more, in_hand = 0)
  WHEN(true, nobody waits, skip); give_back_in_hand()
  OR_KILLED
  fi
}
#endif

inline release() {
  if
  WHEN(latched, release_latched, assert(tag[mine] == me && !released[mine]); i = mine);
    clear_entry(); i = 0; leave()
#ifdef FLAG_AFTER_ASKED
  WHEN(!latched && latch != 0, release_asked, latch = latch | ASKED);
    STEP(release_flagged, released[mine] = 1; holding[self] = 0; holders--; promised[mine] = 1; mine = 0;
         FORGET; goto end_outside)
#else
  WHEN(!latched, release_flagged, released[mine] = 1; holding[self] = 0; holders--);
    if
    WHEN(latch == 0, compare-and-swap from 0, latch = me; mine = 0); sweep(); leave()
    // LeaveSettled, when it is another record now.
    WHEN(latch == 0 && CANNOT_REPAIR, compare-and-swap from 0, latch = me; mine = 0);
      STEP(repair_handed_back, latch = UNREPAIRED | ASKED; FORGET; goto end_outside)
    WHEN(latch != 0, release_asked, latch = latch | ASKED;
         if :: tag[mine] == me && released[mine] -> promised[mine] = 1 :: else fi;
         mine = 0; FORGET; goto end_outside)
    OR_KILLED
    fi
#endif
  OR_KILLED
  fi
}

// ---- Who takes part

// Whoever owns slot n, one after the other: so a process that takes the slot of a dead one is the next life of its
// model, and a process that was killed and takes another slot is that slot's next life.
active [PROCESSES] proctype Process() {
  byte i, mine, missing;
  bit latched, dead, swept, told;
end_killed:
  if
#ifdef COUNTED_UNASKED
  WHEN(locked[ANOTHER], join_generation_counted, count_generation(ANOTHER); goto end_killed)  // finds its byte locked
#endif
#ifdef LOCKED_BEFORE_COUNTED
  WHEN(true, join_byte_locked, locked[self] = 1)
  fi;
end_locked:
  STEP(join_generation_counted, count_generation(self); me = TAG(self); goto end_outside);
#else
  // Under the gate, so nobody else can lock the byte in between.
  WHEN(true, join_generation_counted, count_generation(self))
  fi;
end_counted:
  STEP(join_byte_locked, locked[self] = 1; me = TAG(self); goto end_outside);
#endif
  enter(holding[self] || HAS_IN_HAND);
  if
  :: holding[self] -> release()
#ifdef IN_HAND
  :: HAS_IN_HAND && latched -> hand_on_in_hand(); leave()
  :: !holding[self] && !latched ->
       if
       WHEN(HAS_IN_HAND, in_hand_given_back, in_hand = 0; in_window[self] = 1);
         STEP(sem_post, value++; in_window[self] = 0; FORGET; goto end_outside)
       WHEN(!HAS_IN_HAND, taken over, FORGET; goto end_outside)
       OR_KILLED
       fi
#endif
  :: else -> acquire(); leave()
  fi
}

// At any moment at which nobody alive is inside an operation, one more process tries until it is told busy, and the
// world ends. It must have got what is left: no permit is lost, none is made, and the very next try succeeds.
active proctype Survivor() {
  byte i, mine, missing;
  bit latched, dead, swept, told;
end_killed:
  atomic {
    NOBODY_INSIDE ->
    assert(latch != 0 || !PROMISED);
    locked[self] = 1;
    me = TAG(self);
    enter(false);
    do
    :: acquire();
       if :: holding[self] -> holding[self] = 0; swept = 0 :: else -> break fi
    od;
    assert(holders + foreign_holders + PERMIT_IN_HAND + gaps == PERMITS);
#ifdef IN_HAND
    assert(in_hand == 0 || (in_hand & OLD) == 0 && locked[SLOT(in_hand)]);
#endif
    over = 1
  }
}

#ifdef FOREIGN
// Well behaved: it posts only what it took.
active proctype Foreign() {
end_foreign:
  do
  WHEN(value > 0, sem_trywait, value--; foreign_holders++; AT_MOST_M)
  WHEN(foreign_holders > 0, sem_post, foreign_holders--; value++)
  od
}
#endif
