"""Support for tests: four ways to run the service, from the fastest to the most realistic.

1. A repository or the REST API over tables in the test's own process; time stands still. (api, aws)
2. A simulation: all functions work on a virtual clock, in an order drawn from a seed, and hours pass in seconds: what
   others call deterministic simulation. (simulation, campaign)
3. `make run` as processes of this machine, with a real HTTP gateway that misbehaves. (local_run, faulty_gateway)
4. The package, deployed by CloudFormation into an emulator: MiniStack, LocalStack or LocalEmu. (deployment)

Use the first one that can show what the test is about.

In the test's process:
    aws.py               DynamoDB and SQS without a server: MiniStack's handlers, with a hook before and after each call
    kept_state.py        an empty service, set up once in a process
    botocore_retries.py  botocore's own retries for these calls
    clocks.py            clocks for a test that needs no simulation: one that is moved, one that notes its waits
    api.py               an empty service with an admin and an operator, and its REST API
    client_ids.py        the ids of the tests' clients, which are the same in every run
    browsing.py          the admin UI over it: pages, links, forms and cookies

A simulation:
    simulation.py        the service on a virtual clock, and the levers that a test has
    campaign.py          a simulation, and the REST API in front of it
    scheduler.py         the clock, and tasks that take turns at every call and every sleep
    environments.py      the functions' execution environments: they poll, are killed, and begin anew
    threads.py           a lock, a queue and a pool for tasks that take turns
    receipts.py          a gateway that tells what became of messages
    scripted_gateway.py  the gateway: answers as the test says, with latency and time limits
    turns.py             answers by the order of calls
    table_limits.py      DynamoDB that is busy: partitions that are used up, transactions in each other's way
    capacity.py          what a table and its indexes take in a second
    emulated_items.py    the sizes and keys of what the emulator holds
    client_index.py      clients in great number, for measuring
    full_run.py          a run in which every function works, with the logs it has written
    emf.py               the metrics in these logs
    mailbox.py           the e-mails that were sent
    workbooks.py         small Excel workbooks

Processes of this machine:
    emulator.py          the embedded emulator alone
    local_run.py         `make run`, its API, and what it has printed
    faulty_gateway.py    the gateway as a real server that misbehaves, and keeps its own log
    orders.py            clients added, mailings ordered and waited for
    kills.py             `make kills`: kill -9 at random moments, ledger against the gateway's log
    programs.py          programs that Python does not bring along, and what happens if one is missing
    chromium.py          the browser
    nginx.py             the proxy of docker-compose.yml
    prometheus.py        a Prometheus that scrapes a run

Deployed:
    deployment.py        a stack in an emulator: deploy, destroy, its addresses and clients
    deployed_run.py      the stack in MiniStack
    emulated_account.py  that MiniStack: functions are processes, and their calls are noted
    localstack_run.py    the stack in LocalStack, and in LocalEmu with IAM enforced
    deployer_policy.py   the rights of whoever deploys, and those that the calls of a deploy need
"""
