// How a program tells the test what its client got: a JSON line for each object, at once.

function line(call, members) {
  process.stdout.write(JSON.stringify({ call, ...members }) + "\n");
}

/** Makes the calls named on the command line, one after the other; a call is an async generator. */
export async function make(calls) {
  for (const name of process.argv.slice(2)) {
    try {
      for await (const got of calls[name]()) line(name, { got });
      line(name, { end: "ok" });
    } catch (error) {
      line(name, { error: `${error} ${error.cause ?? ""}` });
    }
  }
}
