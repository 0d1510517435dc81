// SPDX-License-Identifier: BSD-2-Clause
// Boost.Asio's echo server, and fibers of Boost.Fiber that wait.
#include "loop_probe.h"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/fixedsize_stack.hpp>
#include <boost/fiber/mutex.hpp>
#include <boost/fiber/operations.hpp>
#include <boost/fiber/protected_fixedsize_stack.hpp>
#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

namespace
{

namespace asio = boost::asio;
using asio::ip::tcp;

// Writes at once: faster than async_write(), which has to come back.
class Connection
{
      public:
	explicit Connection(tcp::socket socket) : socket_(std::move(socket))
	{
		socket_.non_blocking(true);
		socket_.set_option(tcp::no_delay(true));
		read();
	}

      private:
	void read()
	{
		socket_.async_read_some(asio::buffer(buffer_), [this](boost::system::error_code failed, std::size_t n) {
			if (failed) {
				delete this;
				return;
			}
			probe_check(socket_.write_some(asio::buffer(buffer_, n), failed) == n, "write_some");
			read();
		});
	}

	tcp::socket socket_;
	std::array<char, PROBE_BUFFER>
	    buffer_; // its own: it may be read into before the handler of another one has run
};

void accept_all(tcp::acceptor &acceptor)
{
	acceptor.async_accept([&acceptor](const boost::system::error_code &error, tcp::socket socket) {
		probe_check(!error, "async_accept");
		new Connection(std::move(socket)); // deletes itself
		accept_all(acceptor);
	});
}

template <typename Stack>
int64_t idle(std::size_t n, Stack stacks)
{
	boost::fibers::mutex mutex;
	boost::fibers::condition_variable changed;
	bool over = false;
	std::vector<boost::fibers::fiber> fibers(n);
	const int64_t before = probe_resident();
	for (auto &fiber : fibers)
		fiber = boost::fibers::fiber(std::allocator_arg, stacks, [&] {
			std::unique_lock<boost::fibers::mutex> lock(mutex);
			changed.wait(lock, [&] { return over; });
		});
	boost::this_fiber::yield();
	const int64_t bytes = probe_resident() - before;
	{
		std::unique_lock<boost::fibers::mutex> lock(mutex);
		over = true;
	}
	changed.notify_all();
	for (auto &fiber : fibers)
		fiber.join();
	return bytes;
}

constexpr std::size_t stack_size = 112 * 1024; // as ours

} // namespace

extern "C" void asio_echo(void)
{
	asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
	tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
	acceptor.listen(4096);
	probe_listening(acceptor.local_endpoint().port());
	accept_all(acceptor);
	context.run();
}

extern "C" int64_t boost_idle(std::size_t n)
{
	return idle(n, boost::fibers::protected_fixedsize_stack(stack_size));
}

extern "C" int64_t boost_unguarded_idle(std::size_t n)
{
	return idle(n, boost::fibers::fixedsize_stack(stack_size));
}
