"""How much an endpoint is asked, how quickly it answers, and what it refuses: counted by the gateway's processes."""
