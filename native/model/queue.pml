// A model of the queue of one record: what latched_record.cc, lock_record.cc and wait_service.cc do for those who wait,
// step by step, with a kill possible before each step. Latch and liveness test are taken for granted here, because
// lock.pml is about them. README.md beside this file says what is checked and what is left out.

// What is checked, set by check.mjs:
//   PROCESSES, PERMITS   how many there are of each
//   SHARED               requests may be shared ones
//   STEALING             a process may take the permits of all others
//   LATE                 what was granted may be taken back until it is collected, and those in line be passed over
//   KILLS                see steps.pml
// Its other switches are the mutations: each takes one protection away.

#include "steps.pml"

#define CELLS (PROCESSES + 1)
#ifdef SHARED
#define ROOM (PROCESSES + 1)
#else
#define ROOM PERMITS
#endif

// ---- Shared memory

// A tag is 1 + the slot. When a process dies, all copies of its tag become DEAD: so everybody knows whether it lives.
#define DEAD 15
#define NOBODY 15
#define LIVES(tag) ((tag) != 0 && (tag) != DEAD)

// Modes.
#define EXCLUSIVE 1
#define READING 2

// States of a waiter.
#define WAITING 0
#define GRANTING 1
#define GRANTED 2
#define CANCELLED 3
#define OVER 4
#define RETURNING 5
#define PASSED 6
#define IS_IN_LINE(which) (state[which] == WAITING || state[which] == GRANTING || state[which] == CANCELLED)

// Tickets are kept relative: the first in line has 1, and who is not going to be in line any more has 0.

byte latch;
byte value = PERMITS;  // of the semaphore
byte held;
byte held_mode;
byte waiting;
bit abandoned;
byte holder[ROOM];  // the tags of the entries
byte holder_mode[ROOM];
byte waiter[CELLS];  // the tags of the waiters
byte state[CELLS];
byte ticket[CELLS];
byte wanted[CELLS];         // its mode
byte granted_entry[CELLS];
bit granted_abandoned[CELLS];

// ---- The processes' own memory, here where the checks can see it

// What a process is about when it is not inside the latch.
#define IDLE 0
#define WAITS 1
#define COLLECTS 2   // has marked that the grant is its own
#define WITHDRAWS 3  // has cancelled its wait, and must settle
#define HOLDS 4      // as far as it knows: it may be robbed
#define DECLINES 5   // has a grant that it does not want any more
#define GIVES_UP 6   // was passed over, and has marked that the cell is its own

byte phase_of[PROCESSES + 1];
byte cell_of[PROCESSES + 1];
#define me (1 + self)
#define phase phase_of[self]
#define cell cell_of[self]

// What it is about inside of it.
#define TRY 1
#define WAIT 2
#define SETTLE 3
#define RELEASE 4
#define STEAL 5
#define ROB 6  // having swept
#define COME_BACK 7  // as SETTLE, of somebody who was passed over

// ---- What only the checks know

#define ROBBED 3
byte holds[PROCESSES + 1];  // the mode of its entry, from the tag's writing to its clearing, or ROBBED; 0 without one
bit news[PROCESSES + 1];    // were its entry cleared now, the next holder would have to be told that one died
bit dead_news[ROOM];        // the same of an entry of a dead process
bit owed;                   // that news, while nobody has it

// ---- Steps

#define FORGET op = 0; mode = 0; settled = false; freed = false; taken = false; at = 0; w = 0; i = 0

inline die() {
  for (i : 0 .. ROOM - 1) {
    if :: holder[i] == me -> holder[i] = DEAD; dead_news[i] = news[self] :: else fi
  }
  for (i : 0 .. CELLS - 1) {
    if
    :: waiter[i] == me ->
       waiter[i] = DEAD;
       // Out of line, its cell can be had: nobody asks in which way it came there.
       if :: IS_IN_LINE(i) || state[i] == RETURNING :: else -> state[i] = GRANTED fi
    :: else
    fi
  }
  if :: latch == me -> latch = DEAD :: else fi;
  holds[self] = 0; news[self] = 0; phase = IDLE; cell = 0; mine = 0; told = false; must_repair = false;
  FORGET
}

// ---- latched_record.cc

#define TABLE_ALLOWS(m) (held == 0 || (m == READING -> held_mode == READING : held < PERMITS && held_mode == EXCLUSIVE))
#define TABLE_ALLOWS_ANY (TABLE_ALLOWS(READING) || TABLE_ALLOWS(EXCLUSIVE))
#define PERMITS_HELD (held < PERMITS -> held : PERMITS)  // readers have one together
#define NEEDS_PERMIT(m) (m == EXCLUSIVE || held == 0)
#define CAN_TAKE(m) (TABLE_ALLOWS(m) && (!NEEDS_PERMIT(m) || value > 0))

// Without entries their mode is never read, so it may as well be nothing.
#define FORGET_MODE if :: held == 0 -> held_mode = 0 :: else fi

#define TAKE_PERMIT(m) value = value - NEEDS_PERMIT(m)
#define GIVE_PERMIT_BACK(m) value = value + NEEDS_PERMIT(m)

inline find_entry() { at = 0; do :: at < ROOM && holder[at] != 0 -> at++ :: else -> break od }

inline write_entry(by, m) {
  STEP(acquire_tag_written,
       holder[at] = by;
       holder_mode[at] = m;
       if :: LIVES(by) -> holds[by - 1] = m; news[by - 1] = owed :: else -> dead_news[at] = owed fi;
       owed = 0;
       check_holders());
  STEP(acquire_counted, held++; held_mode = m)
}

inline grant_to_me(m) {
  write_entry(me, m);
  STEP(read abandoned,
       assert(abandoned || !news[self]);
       abandoned = 0; news[self] = 1; mine = at; at = 0; phase = HOLDS)
}

#ifdef EVERY_READER_POSTS
#define GIVE_BACK_HELD(m) value++
#else
#define GIVE_BACK_HELD(m) GIVE_PERMIT_BACK(m)
#endif

inline clear_entry() {
  STEP(give_back_tag_cleared,
       if
       :: op == ROB ->  // whoever dies behind the thief's sweep was robbed first
          dead_news[at] = 0;
          if :: LIVES(holder[at]) -> holds[holder[at] - 1] = ROBBED; news[holder[at] - 1] = 0 :: else fi
       :: op != ROB && holder[at] == DEAD -> owed = owed | dead_news[at]; dead_news[at] = 0
       :: op == RELEASE && holder[at] == me ->
          owed = owed | (phase == DECLINES && news[self]); news[self] = 0; holds[self] = 0; phase = IDLE
       :: op != ROB && taken && LIVES(holder[at]) ->
          owed = owed | news[holder[at] - 1]; news[holder[at] - 1] = 0; holds[holder[at] - 1] = 0
       :: else
       fi;
       holder[at] = 0);
  STEP(give_back_counted, held--; FORGET_MODE);
  STEP(give_back_posted, GIVE_BACK_HELD(holder_mode[at]); holder_mode[at] = 0)
}

// The search is part of the step that finds an entry, or none: who dies behind it dies after the sweep.
inline sweep() {
  do
  WHEN(true, sweep_found,
       do :: at < ROOM && holder[at] != DEAD -> at++ :: else -> break od;
       if :: at < ROOM -> abandoned = 1 :: else -> at = 0; break fi);
    clear_entry()
  OR_KILLED
  od
}

// Who was behind moves up.
inline leave_line(which) {
  for (i : 0 .. CELLS - 1) {
    if :: ticket[which] > 0 && ticket[i] > ticket[which] -> ticket[i]-- :: else fi
  }
  ticket[which] = 0;
  i = 0
}

// Whoever may yet be passed over keeps its ticket until it has collected its grant.
#ifdef LATE
#define LEAVE_SERVED(which) skip
#else
#define LEAVE_SERVED(which) leave_line(which)
#endif

// What is left in a free cell is never read, so it may as well be nothing.
inline free_cell() {
  leave_line(w);
  waiter[w] = 0; state[w] = 0; wanted[w] = 0; granted_entry[w] = 0; granted_abandoned[w] = 0
}

#ifdef LAST_COMES_FIRST
#define IS_BEFORE >
#else
#define IS_BEFORE <
#endif

// One that is cancelled, or else the first in line; CELLS when there is none.
inline find_head() {
  w = CELLS;
  for (i : 0 .. CELLS - 1) {
    if
    :: waiter[i] != 0 && state[i] == CANCELLED -> w = i; break
    :: waiter[i] != 0 && state[i] == WAITING ->
       if :: w == CELLS -> w = i :: w < CELLS && ticket[i] IS_BEFORE ticket[w] -> w = i :: else fi
    :: else
    fi
  }
  i = 0
}

#ifdef DEAD_KEPT_IN_LINE
#define IS_DROPPED(tag) false
#else
#define IS_DROPPED(tag) ((tag) == DEAD)
#endif
#ifdef CANCEL_OVERLOOKED
#define IS_TO_BE_GRANTED true
#else
#define IS_TO_BE_GRANTED (state[w] == WAITING)
#endif
#ifdef PERMIT_KEPT_FROM_CANCELLED
#define GIVE_BACK_UNGRANTED skip
#else
#define GIVE_BACK_UNGRANTED GIVE_PERMIT_BACK(wanted[w])
#endif
#ifdef GRANTED_BEFORE_ENTRY
#define BEING_GRANTED GRANTED
#else
#define BEING_GRANTED GRANTING
#endif
#ifdef FORGOTTEN_BEFORE_ENTRY
#define FORGET_EARLY abandoned = 0
#else
#define FORGET_EARLY skip
#endif

#ifdef LATE
#define IS_LATE(which) (!on_time && state[which] == WAITING)
#else
#define IS_LATE(which) false
#endif
#ifdef PASSED_STILL_COUNTED
#define COUNT_PASSED_OUT freed = false
#else
#define COUNT_PASSED_OUT freed = true
#endif

inline hand_on() {
  do
  WHEN(waiting == 0, nobody waits, break)
  WHEN(waiting > 0, queue_cell_freed or hand_on_permit_taken,
       find_head();
       find_entry();
       if
       :: w == CELLS || !TABLE_ALLOWS_ANY -> w = 0; at = 0; break
       :: w < CELLS && TABLE_ALLOWS_ANY && (state[w] == CANCELLED || IS_DROPPED(waiter[w])) ->
          free_cell(); w = 0; at = 0; freed = true
       :: w < CELLS && TABLE_ALLOWS_ANY && IS_LATE(w) && !IS_DROPPED(waiter[w]) ->  // pass_marked
          state[w] = PASSED; w = CELLS; at = 0; COUNT_PASSED_OUT
       :: w < CELLS && TABLE_ALLOWS_ANY && state[w] != CANCELLED && !IS_DROPPED(waiter[w]) ->
          if
          :: at < ROOM && CAN_TAKE(wanted[w]) -> TAKE_PERMIT(wanted[w])
          :: else -> w = 0; at = 0; break
          fi
       fi);
    if
    WHEN(freed, count, waiting--; freed = false; w = 0)
    WHEN(!freed && w == CELLS, not counted, w = 0)
    WHEN(!freed && w < CELLS && !IS_TO_BE_GRANTED, give back, GIVE_BACK_UNGRANTED; w = 0; at = 0)
    WHEN(!freed && w < CELLS && IS_TO_BE_GRANTED, hand_on_granting,
         check_order(ticket[w]);
         granted_entry[w] = at; granted_abandoned[w] = abandoned; state[w] = BEING_GRANTED;
         FORGET_EARLY);
      write_entry(waiter[w], wanted[w]);
      STEP(hand_on_entry_written, abandoned = 0; waiting--; at = 0);
      STEP(hand_on_granted, state[w] = GRANTED; LEAVE_SERVED(w); w = 0)
    OR_KILLED
    fi
  OR_KILLED
  od
}

// ---- What is not collected

#if defined(COLLECTED_TAKEN_BACK)
#define IS_UNCOLLECTED(which) (state[which] == GRANTED || state[which] == OVER && granted_entry[which] < ROOM)
#else
#define IS_UNCOLLECTED(which) (state[which] == GRANTED)
#endif
#define HAS_ENTRY(which) (holder[granted_entry[which]] == waiter[which])
#ifdef TAKEN_BACK_FORGETS
#define TELL_NEXT skip
#else
#define TELL_NEXT abandoned = abandoned | granted_abandoned[w]
#endif
#ifdef ENTRY_KEPT_IN_PLACE
#define CLEAR_TAKEN at = 0
#else
#define CLEAR_TAKEN clear_entry()
#endif

inline pass_taken() {
  if
  :: LIVES(waiter[w]) && holds[waiter[w] - 1] == ROBBED ->
     holds[waiter[w] - 1] = 0; owed = owed | granted_abandoned[w]
  :: else
  fi;
  state[w] = PASSED; granted_entry[w] = 0; granted_abandoned[w] = 0
}

// Which of them lie there for too long is for the clock to say, so it may be any.
inline take_back() {
  do
  WHEN(true, take_back_marked,
       do
       :: w < CELLS -> w++
       :: w < CELLS && LIVES(waiter[w]) && IS_UNCOLLECTED(w) && !on_time -> break
       :: w == CELLS -> break
       od;
       if :: w == CELLS -> w = 0; break :: else -> state[w] = RETURNING; at = granted_entry[w]; taken = true fi);
    STEP(tell the next one, TELL_NEXT);
    if
    WHEN(HAS_ENTRY(w), clear it, skip); CLEAR_TAKEN
    WHEN(!HAS_ENTRY(w), robbed, assert(!LIVES(waiter[w]) || holds[waiter[w] - 1] == ROBBED))
    OR_KILLED
    fi;
    STEP(take_back_passed, pass_taken(); w = 0; at = 0; taken = false)
  OR_KILLED
  od
}

#ifdef COME_BACK_NOT_COUNTED
#define COUNT_BACK skip
#else
#define COUNT_BACK waiting++
#endif
#define HAS_ROOM(which) (wanted[which] == EXCLUSIVE || held + waiting < ROOM)

inline come_back() {
  if
  WHEN(op == COME_BACK && HAS_ROOM(cell), come_back_marked, state[cell] = WAITING);
    STEP(count, COUNT_BACK)
  WHEN(op != COME_BACK || !HAS_ROOM(cell), none, skip)
  OR_KILLED
  fi
}

#ifdef LATE
#define SETTLE_ALL sweep(); take_back(); hand_on()
#else
#define SETTLE_ALL sweep(); hand_on()
#endif

#ifdef CANCELLED_CELL_KEPT
#define IS_WITHDRAWN false
#else
#define IS_WITHDRAWN (phase == WITHDRAWS && waiter[cell] == me && state[cell] == CANCELLED)
#endif

// Whoever repaired or handed on may have freed it before.
inline free_cancelled() {
  if
  WHEN(IS_WITHDRAWN, queue_cell_freed, w = cell; free_cell(); w = 0);
    STEP(count, waiting--)
  WHEN(!IS_WITHDRAWN, none, skip)
  OR_KILLED
  fi
}

inline free_all_cancelled() {
  do
  WHEN(true, queue_cell_freed,
       w = 0;
       do :: w < CELLS && !(waiter[w] != 0 && state[w] == CANCELLED) -> w++ :: else -> break od;
       if :: w == CELLS -> w = 0; break :: else -> free_cell(); w = 0 fi);
    STEP(count, waiting--)
  OR_KILLED
  od
}

inline count_waiters() {
  waiting = 0;
  for (i : 0 .. CELLS - 1) { if :: waiter[i] != 0 && IS_IN_LINE(i) -> waiting++ :: else fi }
  i = 0
}

#ifdef RETURN_NOT_SETTLED
#define IS_RETURN_UNSETTLED(which) false
#else
#define IS_RETURN_UNSETTLED(which) (state[which] == RETURNING)
#endif
#ifdef GRANT_NOT_SETTLED
#define IS_UNSETTLED(which) false
#else
#define IS_UNSETTLED(which) (waiter[which] != 0 && (state[which] == GRANTING || IS_RETURN_UNSETTLED(which)))
#endif
#if defined(GRANT_ALWAYS_COMPLETED)
#define HAS_ITS_ENTRY true
#elif defined(GRANT_NEVER_COMPLETED)
#define HAS_ITS_ENTRY false
#elif defined(RETURN_ALWAYS_UNDONE)
#define HAS_ITS_ENTRY (state[w] == RETURNING || HAS_ENTRY(w))
#elif defined(RETURN_NEVER_UNDONE)
#define HAS_ITS_ENTRY (state[w] != RETURNING && HAS_ENTRY(w))
#else
#define HAS_ITS_ENTRY HAS_ENTRY(w)
#endif
#ifdef WAITERS_NOT_COUNTED
#define COUNT_WAITERS skip
#else
#define COUNT_WAITERS count_waiters()
#endif

inline repair() {
  STEP(repair_counted,
       held = 0;
       for (i : 0 .. ROOM - 1) {
         if :: holder[i] != 0 -> held++; held_mode = holder_mode[i] :: else -> holder_mode[i] = 0 fi
       }
       FORGET_MODE;
       i = 0);
  do
  WHEN(w < CELLS, repair_grant_settled,
       do :: w < CELLS && !IS_UNSETTLED(w) -> w++ :: else -> break od;
       if
       :: w == CELLS -> break
       :: w < CELLS && HAS_ITS_ENTRY -> state[w] = GRANTED; LEAVE_SERVED(w)
       :: w < CELLS && !HAS_ITS_ENTRY && state[w] == RETURNING -> TELL_NEXT; pass_taken()
       :: else -> state[w] = WAITING; granted_entry[w] = 0; granted_abandoned[w] = 0
       fi)
  OR_KILLED
  od;
  STEP(repair_queue_counted,
       w = 0;
       COUNT_WAITERS);
  free_all_cancelled();
  do
  WHEN(value + PERMITS_HELD < PERMITS, repair_posted, value++)
  WHEN(value + PERMITS_HELD >= PERMITS, done, must_repair = false; break)
  OR_KILLED
  od
}

// ---- lock_record.cc

#define OPEN (latch == 0 || latch == DEAD)

inline enter(what) { must_repair = (latch == DEAD); latch = me; op = what }

#ifdef TRY_OVERTAKES
#define NOBODY_WAITS true
#else
#define NOBODY_WAITS (waiting == 0)
#endif
#define MAY_GRANT (NOBODY_WAITS && CAN_TAKE(mode) && held < ROOM)
#define NO_ROOM (mode == READING && held + waiting >= ROOM)

#ifdef LIVING_CELL_TAKEN
#define IS_LEFT_BEHIND(tag) true
#else
#define IS_LEFT_BEHIND(tag) ((tag) == DEAD)
#endif
#ifdef TAKEN_CELL_STILL_COUNTED
#define COUNT_OUT skip
#else
#define COUNT_OUT if :: w < CELLS -> waiting-- :: else fi
#endif

inline acquire() {
  do
  WHEN(MAY_GRANT, acquire_permit_taken, check_order(NOBODY); find_entry(); TAKE_PERMIT(mode));
    grant_to_me(mode);
    break
  WHEN(!MAY_GRANT && !settled, settle, settled = true); SETTLE_ALL
  WHEN(!MAY_GRANT && settled && (op == TRY || NO_ROOM), busy, break)
  WHEN(!MAY_GRANT && settled && op == WAIT && !NO_ROOM, enqueue_filled,
       do :: w < CELLS && waiter[w] != 0 && !(IS_LEFT_BEHIND(waiter[w]) && !IS_IN_LINE(w)) -> w++
          :: else -> break
       od;
       // The engine frees it and counts it out in two steps, as in hand_on(): a kill in between leaves the same as there.
       if :: w == CELLS -> w = 0; do :: w < CELLS && !IS_LEFT_BEHIND(waiter[w]) -> w++ :: else -> break od; COUNT_OUT
          :: else
       fi;
       if :: w == CELLS -> break :: else -> free_cell() fi);
    STEP(enqueue_tag_written,
         waiter[w] = me;
         wanted[w] = mode;
         ticket[w] = 1;
         for (i : 0 .. CELLS - 1) {
           if :: i != w && ticket[i] >= ticket[w] -> ticket[w] = ticket[i] + 1 :: else fi
         }
         i = 0;
         cell = w;
         phase = WAITS);
    STEP(enqueue_counted, waiting++);
    break
  OR_KILLED
  od
}

#ifdef RELEASE_UNCHECKED
#define IS_HELD true
#else
#define IS_HELD (holder[mine] == me)
#endif
#ifdef DECLINE_FORGETS
#define IS_TOLD_ON false
#else
#define IS_TOLD_ON (phase == DECLINES && told)
#endif
#ifdef NOT_HANDED_ON
#define HAND_ON skip
#else
#define HAND_ON hand_on()
#endif

inline release() {
  if
  WHEN(!IS_HELD && !IS_TOLD_ON, robbed,
       assert(holds[self] == ROBBED); owed = owed | (phase == DECLINES && told); holds[self] = 0; phase = IDLE)
  WHEN(!IS_HELD && IS_TOLD_ON, decline_told_on,
       assert(holds[self] == ROBBED); owed = 1; abandoned = 1; holds[self] = 0; phase = IDLE)
  WHEN(IS_HELD, still held, at = mine;
       if :: IS_TOLD_ON -> abandoned = 1 :: else fi);
    clear_entry();
    HAND_ON
  OR_KILLED
  fi
}

inline steal() {
  sweep();
  do
  WHEN(true, steal_found,
       op = ROB;
       do :: at < ROOM && holder[at] == 0 -> at++ :: else -> break od;
       if :: at == ROOM -> at = 0; break :: else fi);
    clear_entry()
  OR_KILLED
  od;
  STEP(acquire_permit_taken, assert(CAN_TAKE(EXCLUSIVE)); value--);
  grant_to_me(EXCLUSIVE);
  hand_on()
}

// ---- What must hold

inline check_holders() {
  for (i : 0 .. PROCESSES) {
    if
    :: holds[i] == EXCLUSIVE -> writers++
    :: holds[i] == READING -> readers++
    :: else
    fi
  }
  assert(writers <= PERMITS && (writers == 0 || readers == 0));
  writers = 0; readers = 0; i = 0
}

// That nobody who lives and waits comes before that ticket.
inline check_order(ticket_served) {
  for (i : 0 .. CELLS - 1) {
    assert(!LIVES(waiter[i]) || state[i] != WAITING || ticket[i] >= ticket_served)
  }
  i = 0
}

// When the latch is left: I1, and the same of the queue; and nobody waits for a permit that is free, unless somebody
// died just now or is about to settle.
inline check_left() {
  assert(value + PERMITS_HELD == PERMITS);
  for (i : 0 .. ROOM - 1) { if :: holder[i] != 0 -> writers++ :: else fi }
  assert(held == writers);
  for (i : 0 .. CELLS - 1) {
    assert(waiter[i] == 0 || state[i] != GRANTING && state[i] != RETURNING);
    if :: waiter[i] != 0 && IS_IN_LINE(i) -> readers++ :: else fi
  }
  assert(waiting == readers);
  find_head();
  if
  :: w < CELLS -> assert(waiter[w] == DEAD || state[w] == CANCELLED || !CAN_TAKE(wanted[w]))
  :: else
  fi;
  writers = 0; readers = 0
}

// ---- Who takes part

#ifdef CANCEL_OVERWRITES
#define MAY_CANCEL true
#else
#define MAY_CANCEL (state[cell] == WAITING)
#endif
#ifdef CANCEL_NOT_SETTLED
#define CANCELS IDLE
#else
#define CANCELS WITHDRAWS
#endif
#ifdef CELL_KEPT
#define FREE_COLLECTED skip
#else
#define FREE_COLLECTED free_cell()
#endif

#ifdef COLLECTED_UNMARKED
#define MARK_COLLECTED skip
#else
#define MARK_COLLECTED state[cell] = OVER
#endif

#define LOCALS byte op, mode, at, mine, w, i, writers, readers; bit must_repair, settled, freed, taken, told, on_time

inline pick_mode() {
  mode = EXCLUSIVE;
#ifdef SHARED
  if :: true :: mode = READING fi
#endif
}

// Whoever owns slot n, one after the other: so a process that takes the slot of a dead one is the next life of its
// model.
active [PROCESSES] proctype Process() {
  LOCALS;
end_killed:
end_outside:
  if
  WHEN(OPEN && phase == IDLE, acquire_latched, enter(TRY); pick_mode())
  WHEN(OPEN && phase == IDLE, enqueue_latched, enter(WAIT); pick_mode())
#ifdef STEALING
  WHEN(OPEN && phase == IDLE, steal, enter(STEAL))
#endif
  // A round of the settling that goes on as long as something waits, or the one that must follow a cancel.
  WHEN(OPEN && (phase == WAITS || phase == WITHDRAWS), settle, enter(SETTLE))
  WHEN(phase == WAITS && MAY_CANCEL, cancel_marked,
       state[cell] = CANCELLED; leave_line(cell); phase = CANCELS;
       if :: phase == IDLE -> cell = 0 :: else fi;
       goto end_outside)
  WHEN(phase == WAITS && state[cell] == GRANTED, collect_marked,
       assert(waiter[cell] == me && holds[self] != 0 && (granted_abandoned[cell] || !news[self]));
       mine = granted_entry[cell]; told = granted_abandoned[cell]; MARK_COLLECTED; phase = COLLECTS; goto end_outside)
#ifdef LATE
  WHEN(OPEN && phase == WAITS && state[cell] == PASSED, come back, enter(COME_BACK))
  WHEN(phase == WAITS && state[cell] == PASSED, cancel_marked, state[cell] = OVER; phase = GIVES_UP; goto end_outside)
  WHEN(phase == GIVES_UP, free it, w = cell; free_cell(); w = 0; cell = 0; phase = IDLE; goto end_outside)
#endif
  WHEN(phase == COLLECTS, collect_freed,
       w = cell; FREE_COLLECTED; w = 0; cell = 0;
       if :: phase = HOLDS; told = false; news[self] = (holds[self] != ROBBED) :: phase = DECLINES fi;
       goto end_outside)
  WHEN(OPEN && (phase == HOLDS || phase == DECLINES), release_latched, enter(RELEASE))
  :: atomic { phase != IDLE && MAY_BE_KILLED -> COUNT_KILL; die(); goto end_killed }
  fi;
  if
  :: must_repair -> repair(); SETTLE_ALL
  :: else
  fi;
  if
  :: op == TRY || op == WAIT -> acquire()
  :: op == SETTLE -> free_cancelled(); SETTLE_ALL
#ifdef LATE
  :: op == COME_BACK -> come_back(); SETTLE_ALL
#endif
  :: op == RELEASE -> release()
#ifdef STEALING
  :: op == STEAL -> steal()
#endif
  fi;
  STEP(leave,
       check_left();
       latch = 0;
       if :: phase == WITHDRAWS -> phase = IDLE; cell = 0 :: phase == IDLE -> mine = 0; told = false :: else fi;
       FORGET;
       goto end_outside)
}

// At any moment at which nobody alive is inside the latch, one more process settles as any living waiter could, then
// tries until it is told busy, and the world ends. It must get nothing if somebody waits, and else what nobody holds.
active proctype Survivor() {
  LOCALS;
  byte got, left;
  bit queued, shared;
end_killed:
  atomic {
    OPEN && !over ->
    // Who has cancelled is going to settle.
    for (i : 0 .. CELLS - 1) {
      assert(!LIVES(waiter[i]) || state[i] != CANCELLED || phase_of[waiter[i] - 1] == WITHDRAWS)
    }
    i = 0;
    enter(SETTLE);
    if :: must_repair -> repair(); SETTLE_ALL :: else fi;
    SETTLE_ALL;
    on_time = true;
    // All who were passed over come back, or none.
    if
    :: true
    :: true ->
       for (i : 0 .. CELLS - 1) {
         if :: LIVES(waiter[i]) && state[i] == PASSED && HAS_ROOM(i) -> state[i] = WAITING; waiting++ :: else fi
       }
       i = 0;
       hand_on()
    fi;
    check_left();
    for (i : 0 .. PROCESSES - 1) {
      if
      :: holds[i] == EXCLUSIVE -> writers++
      :: holds[i] == READING -> readers++
      :: else
      fi;
      // No permit is with one who does not know, and no waiter has lost its place.
      assert(holds[i] == 0 || phase_of[i] >= HOLDS || phase_of[i] == COLLECTS ||
             phase_of[i] == WAITS && state[cell_of[i]] == GRANTED);
      assert(phase_of[i] != WAITS || waiter[cell_of[i]] == 1 + i)
    }
    // No cell of a living process is without a wait. One that was just cancelled its process is going to free.
    for (i : 0 .. CELLS - 1) {
      assert(!LIVES(waiter[i]) || cell_of[waiter[i] - 1] == i &&
             (phase_of[waiter[i] - 1] == WAITS || phase_of[waiter[i] - 1] == COLLECTS ||
              phase_of[waiter[i] - 1] == GIVES_UP ||
              phase_of[waiter[i] - 1] == WITHDRAWS && state[i] == CANCELLED))
    }
    // Whoever is first in line lives, and waits for a permit that is held. Where nobody could be granted anything, nobody
    // has asked whether it lives.
    find_head();
    if
    :: w < CELLS -> assert(writers == PERMITS || LIVES(waiter[w]) && readers > 0 && wanted[w] == EXCLUSIVE)
    :: else
    fi;
    queued = w < CELLS;
    shared = readers > 0;
    left = PERMITS - writers;
    w = 0; readers = 0; writers = 0;
    enter(TRY);
    mode = (shared -> READING : EXCLUSIVE);
    do
    :: settled = false; acquire();
       if :: holds[self] -> holds[self] = 0; phase = IDLE; got++ :: else -> break fi
    od;
    assert(queued -> got == 0 : (shared -> got > 0 : got == left));
    over = 1
  }
}
