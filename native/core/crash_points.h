// The numbered steps of the protocol at which a test build can kill or stop the process. One list, so that the fault
// tests read from the code which steps there are, and a step without a test is found. In a normal build a step is no
// code at all.

#pragma once

#define SEMLOCK_STEPS(STEP)        \
  STEP(acquire_latched)            \
  STEP(acquire_permit_taken)       \
  STEP(acquire_token_counted)      \
  STEP(acquire_entry_filled)       \
  STEP(acquire_tag_written)        \
  STEP(acquire_counted)            \
  STEP(acquire_left)               \
  STEP(release_latched)            \
  STEP(release_left)               \
  STEP(release_flagged)            \
  STEP(release_asked)              \
  STEP(decline_told_on)            \
  STEP(give_back_tag_cleared)      \
  STEP(give_back_counted)          \
  STEP(give_back_posted)           \
  STEP(sweep_found)                \
  STEP(repair_taken_over)          \
  STEP(repair_counted)             \
  STEP(repair_posted)              \
  STEP(repair_queue_counted)       \
  STEP(repair_grant_settled)       \
  STEP(inbox_made)                 \
  STEP(enqueue_latched)            \
  STEP(enqueue_filled)             \
  STEP(enqueue_tag_written)        \
  STEP(enqueue_counted)            \
  STEP(enqueue_left)               \
  STEP(hand_on_permit_taken)       \
  STEP(hand_on_granting)           \
  STEP(hand_on_entry_written)      \
  STEP(hand_on_granted)            \
  STEP(collect_marked)             \
  STEP(collect_freed)              \
  STEP(cancel_marked)              \
  STEP(take_back_marked)           \
  STEP(take_back_passed)           \
  STEP(pass_marked)                \
  STEP(come_back_marked)           \
  STEP(queue_cell_freed)           \
  STEP(steal_found)                \
  STEP(room_waiters_linked)        \
  STEP(room_entries_linked)        \
  STEP(foreign_latched)            \
  STEP(foreign_opened)             \
  STEP(foreign_permit_moved)       \
  STEP(foreign_entry_lost)         \
  STEP(foreign_moved)              \
  STEP(foreign_post_taken)         \
  STEP(in_hand_written)            \
  STEP(in_hand_to_entry)           \
  STEP(in_hand_in_entry)           \
  STEP(in_hand_given_back)         \
  STEP(semaphore_made)             \
  STEP(secret_semaphore_made)      \
  STEP(create_latched)             \
  STEP(create_taken_from_free)     \
  STEP(create_filled)              \
  STEP(create_state_written)       \
  STEP(create_linked)              \
  STEP(recycle_latched)            \
  STEP(recycle_generation_counted) \
  STEP(recycle_state_cleared)      \
  STEP(recycle_unlinked)           \
  STEP(recycle_freed)              \
  STEP(grow_reserved)              \
  STEP(grow_counted)               \
  STEP(rebuild_cleared)            \
  STEP(rebuild_linked)             \
  STEP(group_folder_made)          \
  STEP(build_created)              \
  STEP(build_filled)               \
  STEP(build_linked)               \
  STEP(join_gate_locked)           \
  STEP(join_records_disclaimed)    \
  STEP(join_generation_counted)    \
  STEP(join_byte_locked)           \
  STEP(join_pid_written)           \
  STEP(join_present)               \
  STEP(leave_gate_locked)          \
  STEP(leave_byte_unlocked)        \
  STEP(leave_table_kept)           \
  STEP(leave_semaphores_unlinked)  \
  STEP(leave_table_unlinked)       \
  STEP(leave_done)                 \
  STEP(clear_found)                \
  STEP(clear_joined)

#ifdef SEMLOCK_CRASH_POINTS

namespace semlock {

enum class Step {
#define SEMLOCK_STEP_NAME(name) name,
  SEMLOCK_STEPS(SEMLOCK_STEP_NAME)
#undef SEMLOCK_STEP_NAME
};

inline constexpr int kStepCount = 0
#define SEMLOCK_STEP_COUNT(name) +1
    SEMLOCK_STEPS(SEMLOCK_STEP_COUNT)
#undef SEMLOCK_STEP_COUNT
    ;

// Does what was armed for this step, if anything.
void ReachStep(Step step);
// From now on, the `count`-th time that the step is reached, this process gets `signal`. False: there is no such step.
bool ArmStep(const char* name, int signal, int count);
const char* StepName(int step);

}  // namespace semlock

#define CRASH_POINT(name) ::semlock::ReachStep(::semlock::Step::name)
#else
#define CRASH_POINT(name) static_cast<void>(0)
#endif
