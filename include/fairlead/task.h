/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_TASK_H
#define FAIRLEAD_TASK_H

#include <fairlead/bytes.h>
#include <fairlead/executor.h>
#include <fairlead/group.h>
#include <fairlead/imap.h>
#include <fairlead/task_type.h>

/* Defines tasks and their typed calls, in C and in C++. */

/*
 * FL_TASK, at file scope, defines a task type, its typed calls and the body of the task.
 *
 *     FL_TASK(count_primes, struct range, uint64_t)   // the body has ctx, arg and result
 *     {
 *             *result = count(arg->from, arg->to);
 *             return 0;                               // or an error, or fl_task_fail()
 *     }
 *
 *     rc = count_primes_submit(pool, range, &f);      // runs the body with a copy of `range`
 *
 * In the body, `arg` points to the argument, which is const; `result` points to the result, which
 * is zeroed at first; and `ctx` points to the fl_task_ctx. These names hide outer variables. In C++
 * an exception that leaves the body ends the program.
 *
 * The macro defines `const fl_task_type count_primes`, registers it by its name, and defines typed
 * calls, which do what fl_executor_submit(), fl_future_get() and so on do:
 *
 *     int count_primes_submit(fl_executor *e, struct range arg, fl_future **f);
 *             // and _submit_with, which also takes a `const fl_submit_config *config`
 *     int count_primes_get(fl_future *f, uint64_t *result);
 *             // and _try_get, _get_until
 *     int count_primes_group_submit(fl_group *g, struct range arg, uint64_t *result);
 *             // and _group_submit_with
 *     int count_primes_map(fl_executor *e, const struct range *args, size_t n, uint64_t *results,
 *                          const fl_map_config *config);
 *     int count_primes_imap(fl_executor *e, const struct range *args, size_t n, fl_imap **it,
 *                           const fl_imap_config *config);
 *     int count_primes_imap_next(fl_imap *it, size_t *index, uint64_t *result);
 *             // and _imap_try_next, _imap_next_until
 *
 * "Types" in fairlead/defs.h says which types the macro takes. The argument and the result may also
 * be void: then the calls lack that parameter, and the body has a NULL pointer. A task without an
 * argument has no _map and no _imap.
 *
 * For a pointer, declare a name: `typedef const char *path;`, then `FL_TASK(hash, path, uint64_t)`.
 * Only the pointer is copied, so the task must run in the caller's process. For memory of any
 * length, write `fl_bytes` (fairlead/bytes.h), not a typedef of it. Further members of the task
 * type follow as designators, such as `.drop_arg = text_free`.
 *
 * There are four forms:
 *   FL_TASK          defines an external symbol, and registers it by its name
 *   FL_TASK_STATIC   defines a static symbol, and registers it as __FILE__ ":name"
 *   FL_TASK_DECLARE  declares the type and defines its typed calls; for a header
 *   FL_TASK_DEFINE   defines a declared type; for one source file
 *
 * To use a task of another source file, declare it by FL_TASK_DECLARE, and not by `extern`, because
 * its symbol has another name. Two tasks with the same name do not link into one program, even in
 * different namespaces of C++, unless one is static.
 */
#define FL_TASK(name, ...)                                                                                             \
	FL__TASK_EXTERN(name);                                                                                         \
	FL__TASK(, name, #name, __VA_ARGS__, )
#define FL_TASK_STATIC(name, ...) FL__TASK(static, name, __FILE__ ":" #name, __VA_ARGS__, )
#define FL_TASK_DECLARE(name, ...)                                                                                     \
	FL__TASK_CHECKS(__VA_ARGS__, , )                                                                               \
	FL__TASK_EXTERN(name);                                                                                         \
	FL__TASK_CALLS(name, __VA_ARGS__, )
#define FL_TASK_DEFINE(name, ...)                                                                                      \
	FL__TASK_EXTERN(name);                                                                                         \
	FL__TASK_DEFINE(name, #name, __VA_ARGS__, )

/*
 * Declares a task type. Its symbol contains a dot, so that a task `read` does not replace the C
 * library's read().
 */
#define FL__TASK_EXTERN(name) extern const fl_task_type name __asm__(FL__SYMBOL("fl_task." #name))
#define FL__SYMBOL(name) FL__SYMBOL_(__USER_LABEL_PREFIX__, name)
#define FL__SYMBOL_(prefix, name) FL__SYMBOL__(prefix, name)
#define FL__SYMBOL__(prefix, name) #prefix name

#define FL__TASK(storage, name, label, ...)                                                                            \
	FL__TASK_TYPE(storage, name, label, __VA_ARGS__)                                                               \
	FL__TASK_CALLS(name, __VA_ARGS__)                                                                              \
	FL__TASK_BODY(name, __VA_ARGS__)
#define FL__TASK_DEFINE(name, label, ...)                                                                              \
	FL__TASK_TYPE(, name, label, __VA_ARGS__)                                                                      \
	FL__TASK_BODY(name, __VA_ARGS__)

/* Types are registered before the constructors without a priority, such as FL_PROCESS_HOOK's. */
#define FL__TASK_PRIORITY 60000

#define FL__TASK_OBJECT(type) FL__IF_VOID(type, void, __typeof__(type))
#define FL__TASK_ALIGN(type) FL__IF_VOID(type, 0, __alignof__(type))

/* FL__IF_BYTES(type, a, b): a when the type is the word fl_bytes, else b. */
#define FL__BYTES_fl_bytes() ~, 1,
#define FL__IF_BYTES(type, a, b) FL__IF_VOID_(FL__BYTES_##type(), a, b)

#define FL__TASK_TYPE(storage, task, label, arg_type, result_type, ...)                                                \
	FL__TASK_CHECKS(arg_type, result_type, )                                                                       \
	static int task##_body(fl_task_ctx *, FL__TASK_OBJECT(arg_type) const *, FL__TASK_OBJECT(result_type) *);      \
	static int task##_run(fl_task_ctx *_ctx, const void *_arg, void *_result) FL__TASK_NOEXCEPT                    \
	{                                                                                                              \
		return task##_body(_ctx, FL__CAST_CONST(FL__TASK_OBJECT(arg_type) const *, _arg),                      \
		                   FL__CAST_POINTER(FL__TASK_OBJECT(result_type) *, _result));                         \
	}                                                                                                              \
	storage const fl_task_type task FL__TASK_FIRST =                                                               \
	    FL__TASK_INIT(label, task##_run, FL__TASK_SIZE(arg_type), FL__TASK_ALIGN(arg_type),                        \
	                  FL__TASK_SIZE(result_type), FL__TASK_ALIGN(result_type),                                     \
	                  FL__TASK_HOOK(arg_type, drop_arg) FL__TASK_HOOK(result_type, drop_result), __VA_ARGS__);     \
	static fl_task_entry task##_entry = {&task, NULL};                                                             \
	__attribute__((__constructor__(FL__TASK_PRIORITY))) static void task##_register(void)                          \
	{                                                                                                              \
		fl_task_register(&task##_entry);                                                                       \
	}                                                                                                              \
	__attribute__((__destructor__(FL__TASK_PRIORITY))) static void task##_unregister(void)                         \
	{                                                                                                              \
		fl_task_unregister(&task##_entry);                                                                     \
	}

#define FL__TASK_BODY(task, arg_type, result_type, ...)                                                                \
	static int task##_body(__attribute__((__unused__)) fl_task_ctx *ctx,                                           \
	                       __attribute__((__unused__)) FL__TASK_OBJECT(arg_type) const *arg,                       \
	                       __attribute__((__unused__)) FL__TASK_OBJECT(result_type) * result)

/* C++17 has no designators: there a lambda sets the fields, before the type is registered. */
#ifdef __cplusplus
#define FL__TASK_HOOK(type, field) FL__IF_BYTES(type, FL__TASK_COMMA, FL__TASK_NOTHING)(_type.field = FL_BYTES_DROP)
#define FL__TASK_NOEXCEPT noexcept
#define FL__TASK_FIRST __attribute__((__init_priority__(FL__TASK_PRIORITY - 1)))
#define FL__TASK_INIT(label, run_, arg_size_, arg_align_, result_size_, result_align_, hooks, ...)                     \
	[] {                                                                                                           \
		fl_task_type _type = {};                                                                               \
		_type.size = sizeof(fl_task_type);                                                                     \
		_type.name = label;                                                                                    \
		_type.run = run_;                                                                                      \
		_type.arg_size = arg_size_;                                                                            \
		_type.arg_align = arg_align_;                                                                          \
		_type.result_size = result_size_;                                                                      \
		_type.result_align = result_align_ hooks;                                                              \
		FL__TASK_SET(_type, __VA_ARGS__, , , , )                                                               \
		return _type;                                                                                          \
	}()
#define FL__TASK_SET(type, a, b, c, d, ...)                                                                            \
	(void)(type a);                                                                                                \
	(void)(type b);                                                                                                \
	(void)(type c);                                                                                                \
	(void)(type d);
#else
#define FL__TASK_HOOK(type, field) FL__IF_BYTES(type, FL__TASK_COMMA, FL__TASK_NOTHING)(.field = FL_BYTES_DROP)
#define FL__TASK_NOEXCEPT
#define FL__TASK_FIRST
#define FL__TASK_INIT(label, run_, arg_size_, arg_align_, result_size_, result_align_, hooks, ...)                     \
	{                                                                                                              \
		.size = sizeof(fl_task_type), .name = label, .run = run_, .arg_size = arg_size_,                       \
		.arg_align = arg_align_, .result_size = result_size_, .result_align = result_align_ hooks, __VA_ARGS__ \
	}
#endif

#define FL__TASK_CHECKS(arg_type, result_type, ...)                                                                    \
	FL__TASK_CHECK(arg_type)                                                                                       \
	FL__TASK_CHECK(result_type)
#define FL__TASK_CHECK(type)                                                                                           \
	FL__IF_VOID(type, , FL__VALUE(type))                                                                           \
	FL__IF_BYTES(type, , FL__ASSERT(!FL__SAME(fl_bytes *, __typeof__(type) *), #type " is fl_bytes: spell it so");)

/* The parameter for an argument, after a comma, unless `type` is void. */
#define FL__TASK_ARG(type) FL__IF_VOID(type, FL__TASK_NOTHING, FL__TASK_COMMA)(__typeof__(type) _arg)

#define FL__TASK_CALLS(name, arg_type, result_type, ...)                                                               \
	FL__TASK_FN name##_submit(fl_executor *_e FL__TASK_ARG(arg_type), fl_future **_f)                              \
	{                                                                                                              \
		return fl_executor_submit(_e, &name, FL__TASK_VALUE(arg_type, &_arg), _f);                             \
	}                                                                                                              \
	FL__TASK_FN name##_submit_with(fl_executor *_e FL__TASK_ARG(arg_type), fl_future **_f,                         \
	                               const fl_submit_config *_config)                                                \
	{                                                                                                              \
		return fl_executor_submit_with(_e, &name, FL__TASK_VALUE(arg_type, &_arg), _f, _config);               \
	}                                                                                                              \
	FL__FUTURE_GETS(name, FL__TASK_RESULT(result_type), FL__TASK_VALUE(result_type, _result),                      \
	                FL__TASK_SIZE(result_type))                                                                    \
	FL__TASK_FN name##_group_submit(fl_group *_g FL__TASK_ARG(arg_type) FL__TASK_RESULT(result_type))              \
	{                                                                                                              \
		return fl_group_submit(_g, &name, FL__TASK_VALUE(arg_type, &_arg),                                     \
		                       FL__TASK_VALUE(result_type, _result));                                          \
	}                                                                                                              \
	FL__TASK_FN name##_group_submit_with(fl_group *_g FL__TASK_ARG(arg_type) FL__TASK_RESULT(result_type),         \
	                                     const fl_submit_config *_config)                                          \
	{                                                                                                              \
		return fl_group_submit_with(_g, &name, FL__TASK_VALUE(arg_type, &_arg),                                \
		                            FL__TASK_VALUE(result_type, _result), _config);                            \
	}                                                                                                              \
	FL__IF_VOID(arg_type, FL__TASK_NOTHING, FL__TASK_MAPS)(name, arg_type, result_type)

/* Calls with an array of arguments. */
#define FL__TASK_MAPS(name, arg_type, result_type)                                                                     \
	FL__TASK_FN name##_map(fl_executor *_e, __typeof__(arg_type) const *_args,                                     \
	                       size_t _n FL__TASK_RESULT(result_type), const fl_map_config *_config)                   \
	{                                                                                                              \
		return fl_executor_map(_e, &name, _args, _n, FL__TASK_VALUE(result_type, _result), _config);           \
	}                                                                                                              \
	FL__TASK_FN name##_imap(fl_executor *_e, __typeof__(arg_type) const *_args, size_t _n, fl_imap **_it,          \
	                        const fl_imap_config *_config)                                                         \
	{                                                                                                              \
		return fl_imap_create(_it, _e, &name, _args, _n, _config);                                             \
	}                                                                                                              \
	FL__TASK_FN name##_imap_next(fl_imap *_it, size_t *_index FL__TASK_RESULT(result_type))                        \
	{                                                                                                              \
		return fl_imap_next(_it, _index, FL__TASK_VALUE(result_type, _result));                                \
	}                                                                                                              \
	FL__TASK_FN name##_imap_try_next(fl_imap *_it, size_t *_index FL__TASK_RESULT(result_type))                    \
	{                                                                                                              \
		return fl_imap_try_next(_it, _index, FL__TASK_VALUE(result_type, _result));                            \
	}                                                                                                              \
	FL__TASK_FN name##_imap_next_until(fl_imap *_it, size_t *_index FL__TASK_RESULT(result_type),                  \
	                                   fl_time _deadline, fl_cancel_token *_cancel)                                \
	{                                                                                                              \
		return fl_imap_next_until(_it, _index, FL__TASK_VALUE(result_type, _result), _deadline, _cancel);      \
	}

#endif
