/** For tests: a port that shows what is submitted through it. */
import { type AioPort, type PortFactory, abi } from '@penstock/aio';
import { fromWords } from '@penstock/native';

/** The port that `make` makes; `onSubmit` is called with the iocbs of each submit before the port has them. */
export function watchedPort(make: PortFactory, onSubmit: (submitted: abi.Iocb[]) => void): PortFactory {
  return (iocbs, iocbsAddress): AioPort => {
    const port = make(iocbs, iocbsAddress);
    return {
      name: port.name,
      setup: (depth) => port.setup(depth),
      destroy: (context) => port.destroy(context),
      getevents: (...wait) => port.getevents(...wait),
      submit(context, count, pointers) {
        const submitted = Array.from({ length: count }, (_, index) => {
          const address = fromWords(pointers[index * 2]!, pointers[index * 2 + 1]!);
          const iocb = { slot: 0, opcode: 0, fd: 0, address: 0, length: 0, offset: 0 };
          return abi.loadIocb(iocbs, (address - iocbsAddress) / 4, iocb);
        });
        onSubmit(submitted);
        return port.submit(context, count, pointers);
      },
    };
  };
}
