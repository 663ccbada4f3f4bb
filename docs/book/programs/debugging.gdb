set trace-commands on
break nart_rt_dump
run
nart tasks
nart where 0
nart timers
