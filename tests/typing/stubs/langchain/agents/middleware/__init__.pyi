class AgentMiddleware:
    state_schema: type[object]
    @property
    def name(self) -> str: ...
