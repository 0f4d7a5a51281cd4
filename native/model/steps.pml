// What both models call a step. Whoever includes this has said what becomes of a process that dies: die().
//   KILLS   how many processes are killed at most; without it, any number

bit over;  // the survivor has looked; nothing moves any more

#define self _pid
#define SURVIVOR PROCESSES

#ifdef KILLS
byte kills;
#define MAY_BE_KILLED (self != SURVIVOR && !over && kills < KILLS)
#define COUNT_KILL kills++
#else
#define MAY_BE_KILLED (self != SURVIVOR && !over)
#define COUNT_KILL skip
#endif

// One atomic step, or a kill instead. A name with an underscore is the crash point (crash_points.h) right behind it.
#define STEP(name, ...) if WHEN(true, name, __VA_ARGS__) OR_KILLED fi
// In an if or do: a step whose outcome depends.
#define WHEN(condition, name, ...) :: atomic { (condition) && !over -> __VA_ARGS__ }
#define OR_KILLED :: atomic { MAY_BE_KILLED -> COUNT_KILL; die(); goto end_killed }
